// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

const (
	networksAnnotation = "k8s.v1.cni.cncf.io/networks"
	defaultAnnotation  = "v1.multus-cni.io/default-network"
	// mostSelections and longestAnnotation bound what one pod may ask for.
	mostSelections    = 32
	longestAnnotation = 64 << 10
)

var (
	label     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
)

type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol,omitempty"`
	HostIP        string `json:"hostIP,omitempty"`
}

// selection is an element of the annotation (NPWG §4.1.2.1). A key that may be
// left out is a pointer: one that is empty is malformed.
type selection struct {
	Name      string          `json:"name"`
	Namespace string          `json:"namespace"`
	Interface string          `json:"interface"`
	IPs       *[]string       `json:"ips"`
	MAC       *string         `json:"mac"`
	GUID      *string         `json:"infiniband-guid"`
	Ports     *[]portMapping  `json:"portMappings"`
	Bandwidth *map[string]int `json:"bandwidth"`
	DeviceID  string          `json:"deviceID"`
	Args      map[string]any  `json:"cni-args"`
	Routes    *[]string       `json:"default-route"`
	Claim     string          `json:"ipam-claim-reference"`
}

func malformed(format string, args ...any) error {
	return refuse(types.ErrInvalidNetworkConfig, "annotation: "+format, args...)
}

// selections reads an annotation in either form. namespace is what those have
// that name none.
func selections(annotation, namespace string) ([]*selection, error) {
	text := strings.TrimSpace(annotation)
	if len(text) > longestAnnotation {
		return nil, malformed("it has %d bytes, more than the limit of %d; it begins %q", len(text), longestAnnotation, text[:64]+"...")
	}
	all, err := parse(text)
	if err != nil {
		return nil, err
	}
	if len(all) > mostSelections {
		return nil, malformed("%d selections, more than the limit of %d", len(all), mostSelections)
	}
	routed := false
	for _, s := range all {
		if s.Namespace == "" {
			s.Namespace = namespace
		}
		if err := s.validate(); err != nil {
			return nil, err
		}
		if s.Routes != nil && routed {
			return nil, malformed("default-route on more than one element")
		}
		routed = routed || s.Routes != nil
	}
	return all, nil
}

func parse(text string) (all []*selection, err error) {
	if text == "" {
		return nil, nil
	}
	if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return nil, malformed("%v in %q", err, cut(text, 1024))
		}
		for _, s := range all {
			if s == nil {
				return nil, malformed("null in %q", cut(text, 1024))
			}
		}
		return all, nil
	}
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		s := &selection{Name: part}
		if name, ifName, ok := strings.Cut(part, "@"); ok {
			if s.Name, s.Interface = name, ifName; !interfaceName.MatchString(ifName) && !broken("any-interface-name") {
				return nil, malformed("%q in %q is not an interface name", ifName, part)
			}
		}
		if namespace, name, ok := strings.Cut(s.Name, "/"); ok {
			if s.Namespace, s.Name = namespace, name; namespace == "" {
				return nil, malformed("%q has an empty namespace", part)
			}
		}
		if s.Name == "" && broken("skips-empty-selections") {
			continue
		}
		all = append(all, s)
	}
	return all, nil
}

func (s *selection) validate() error {
	switch {
	case s.Name == "":
		return malformed("an element without a name, in namespace %q", s.Namespace)
	case !subdomain.MatchString(s.Name):
		return malformed("%q is not the name of a network definition", s.Name)
	case !label.MatchString(s.Namespace):
		return malformed("%q is not the name of a namespace, for network %q", s.Namespace, s.Name)
	case s.Interface != "" && !interfaceName.MatchString(s.Interface) && !broken("any-interface-name"):
		return malformed("%q is not an interface name, for network %s", s.Interface, s.Name)
	case s.IPs != nil && len(*s.IPs) == 0, s.Ports != nil && len(*s.Ports) == 0, s.Bandwidth != nil && len(*s.Bandwidth) == 0:
		return malformed("ips, portMappings or bandwidth of %s is there and empty", s.Name)
	case s.IPs != nil && s.Claim != "":
		return malformed("ips and ipam-claim-reference of %s exclude each other", s.Name)
	}
	if s.IPs != nil {
		for _, ip := range *s.IPs {
			if !isAddress(ip) {
				return malformed("%q is not an address, for network %s", ip, s.Name)
			}
		}
	}
	if s.Routes != nil {
		for _, ip := range *s.Routes {
			if _, err := netip.ParseAddr(ip); err != nil {
				return malformed("default-route %q is not an address", ip)
			}
		}
	}
	if s.MAC != nil && !isHardware(*s.MAC, 6) {
		return malformed("mac %q is not an Ethernet address", *s.MAC)
	}
	if s.GUID != nil && !isHardware(*s.GUID, 8) {
		return malformed("infiniband-guid %q is not a GUID", *s.GUID)
	}
	return s.validateRates()
}

func (s *selection) validateRates() error {
	if broken("any-port-and-rate") {
		return nil
	}
	if s.Ports != nil {
		for _, p := range *s.Ports {
			protocol := strings.ToLower(p.Protocol)
			if p.HostPort < 1 || p.HostPort > 65535 || p.ContainerPort < 1 || p.ContainerPort > 65535 ||
				protocol != "" && protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
				return malformed("portMapping %d to %d of protocol %q", p.HostPort, p.ContainerPort, p.Protocol)
			}
		}
	}
	if s.Bandwidth != nil {
		rates := *s.Bandwidth
		for key, value := range rates {
			if value <= 0 {
				return malformed("bandwidth: %s is %d", key, value)
			}
		}
		for _, way := range []string{"ingress", "egress"} {
			if rates[way+"Burst"] != 0 && rates[way+"Rate"] == 0 {
				return malformed("bandwidth: %sBurst without its rate", way)
			}
		}
	}
	return nil
}

func isAddress(text string) bool {
	if _, err := netip.ParsePrefix(text); err == nil {
		return true
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}

func isHardware(text string, bytes int) bool {
	mac, err := net.ParseMAC(text)
	return err == nil && len(mac) == bytes
}

// capabilities are what the selection asks for, by the names that plugins
// declare.
func (s *selection) capabilities() map[string]any {
	all := map[string]any{}
	if s.IPs != nil {
		all["ips"] = *s.IPs
	}
	if s.MAC != nil {
		all["mac"] = *s.MAC
	}
	if s.GUID != nil {
		all["infinibandGUID"] = *s.GUID
	}
	if s.Ports != nil {
		all["portMappings"] = *s.Ports
	}
	if s.Bandwidth != nil {
		all["bandwidth"] = *s.Bandwidth
	}
	if s.DeviceID != "" {
		all["deviceID"] = s.DeviceID
	}
	return all
}
