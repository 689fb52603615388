// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
)

// element is a selection as it is written in JSON. What the standard wants to
// be there, or not to be zero, is a pointer: absent is not the same as 0.
type element struct {
	Name             string          `json:"name"`
	Namespace        string          `json:"namespace"`
	Interface        string          `json:"interface"`
	InterfaceRequest string          `json:"interfaceRequest"` // Multus' key before 3.2, which Multus 4 still takes
	IPs              []string        `json:"ips"`
	IPAMClaim        string          `json:"ipam-claim-reference"`
	Mac              string          `json:"mac"`
	InfinibandGUID   string          `json:"infiniband-guid"`
	Bandwidth        *bandwidth      `json:"bandwidth"`
	PortMappings     []portMapping   `json:"portMappings"`
	DeviceID         string          `json:"deviceID"`
	CNIArgs          json.RawMessage `json:"cni-args"`
	DefaultRoute     []string        `json:"default-route"`
}

type bandwidth struct {
	IngressRate  *uint64 `json:"ingressRate"`
	IngressBurst *uint64 `json:"ingressBurst"`
	EgressRate   *uint64 `json:"egressRate"`
	EgressBurst  *uint64 `json:"egressBurst"`
}

type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP"`
}

// selection is the element without cni-args and default-route.
func (e *element) selection() *Selection {
	s := &Selection{
		Name: e.Name, Namespace: e.Namespace, InterfaceRequest: e.Interface, IPRequest: e.IPs,
		MacRequest: e.Mac, InfinibandGUIDRequest: e.InfinibandGUID, DeviceID: e.DeviceID, fault: e.fault(),
	}
	if s.InterfaceRequest == "" {
		s.InterfaceRequest = e.InterfaceRequest
	}
	if b := e.Bandwidth; b != nil {
		s.BandwidthRequest = &Bandwidth{
			IngressRate: value(b.IngressRate), IngressBurst: value(b.IngressBurst), EgressRate: value(b.EgressRate), EgressBurst: value(b.EgressBurst),
		}
	}
	for _, m := range e.PortMappings {
		// The default is the standard's; plugins know the protocol in small letters.
		protocol := strings.ToLower(m.Protocol)
		if protocol == "" {
			protocol = "tcp"
		}
		s.PortMappingsRequest = append(s.PortMappingsRequest, PortMapping{m.HostPort, m.ContainerPort, protocol, m.HostIP})
	}
	return s
}

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// fault is what a Selection no longer shows of how it was written (NPWG
// standard, section 4.1.2.1): an empty list, a zero, two requests of which one
// excludes the other.
func (e *element) fault() error {
	switch {
	case e.IPs != nil && len(e.IPs) == 0:
		return errors.New("ips: the list is empty; leave the key out to ask for no address")
	case len(e.IPs) > 0 && e.IPAMClaim != "": // NET-24
		return fmt.Errorf("ips and ipam-claim-reference %q exclude each other; leave one of them out", quote(e.IPAMClaim))
	case e.PortMappings != nil && len(e.PortMappings) == 0:
		return errors.New("portMappings: the list is empty; leave the key out to ask for no port")
	case e.Bandwidth == nil:
		return nil
	case *e.Bandwidth == bandwidth{}:
		return errors.New("bandwidth: it has neither ingressRate nor egressRate; leave the key out to ask for no limit")
	}
	if err := limit("ingress", e.Bandwidth.IngressRate, e.Bandwidth.IngressBurst); err != nil {
		return err
	}
	return limit("egress", e.Bandwidth.EgressRate, e.Bandwidth.EgressBurst)
}

// limit applies the rules for one direction of a bandwidth (NPWG standard,
// section 4.1.2.1.8; NET-23).
func limit(direction string, rate, burst *uint64) error {
	switch {
	case rate != nil && *rate == 0:
		return fmt.Errorf("bandwidth: %sRate 0 is not a rate; leave it out for no limit", direction)
	case burst != nil && *burst == 0:
		return fmt.Errorf("bandwidth: %sBurst 0 is not a burst; leave it out", direction)
	case burst != nil && rate == nil:
		return fmt.Errorf("bandwidth: %sBurst %d has no %sRate", direction, *burst, direction)
	}
	return nil
}

// checkRequests applies the rules for what a selection asks of its network
// (NPWG standard, section 4.1.2.1).
func (s *Selection) checkRequests() error {
	fault := func(format string, args ...any) error {
		return invalid("%s: %s", strings.TrimSpace("network selection "+s.definition()), fmt.Sprintf(format, args...))
	}
	if s.fault != nil {
		return fault("%v", s.fault)
	}
	if s.InterfaceRequest != "" {
		if err := CheckInterfaceName(s.InterfaceRequest); err != nil {
			return fault("%v", err)
		}
	}
	if s.MacRequest != "" && !isAddress(s.MacRequest, 6) {
		return fault("mac %q is not an Ethernet address of 6 bytes such as 02:00:5e:10:00:01", quote(s.MacRequest))
	}
	if s.InfinibandGUIDRequest != "" && !isAddress(s.InfinibandGUIDRequest, 8) {
		return fault("infiniband-guid %q is not a GUID of 8 bytes such as c2:11:22:33:44:55:66:77", quote(s.InfinibandGUIDRequest))
	}
	for _, ip := range s.IPRequest {
		if _, _, err := net.ParseCIDR(ip); err != nil && net.ParseIP(ip) == nil {
			return fault("ips: %q is not an IP address, with or without /prefix", quote(ip))
		}
	}
	for _, m := range s.PortMappingsRequest {
		if err := m.check(); err != nil {
			return fault("portMappings: %v", err)
		}
	}
	return nil
}

// isAddress reports whether text is a hardware address of so many bytes.
func isAddress(text string, bytes int) bool {
	address, err := net.ParseMAC(text)
	return err == nil && len(address) == bytes
}

// check applies the rules for one port mapping (NPWG standard, section
// 4.1.2.1.7; NET-23).
func (m *PortMapping) check() error {
	for _, port := range []struct {
		key    string
		number int
	}{{"hostPort", m.HostPort}, {"containerPort", m.ContainerPort}} {
		if port.number < 1 || port.number > 65535 {
			return fmt.Errorf("%s %d is not a port (1 to 65535)", port.key, port.number)
		}
	}
	switch m.Protocol {
	case "tcp", "udp", "sctp":
	default:
		return fmt.Errorf("protocol %q is not TCP, UDP or SCTP", quote(m.Protocol))
	}
	if m.HostIP != "" && net.ParseIP(m.HostIP) == nil {
		return fmt.Errorf("hostIP %q is not an IP address", quote(m.HostIP))
	}
	return nil
}
