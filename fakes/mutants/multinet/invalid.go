// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"encoding/json"
	"maps"
	"strings"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile multinet: what is malformed. A fault changes the annotation into
// one that is not: to take it for that is to accept it.
func invalidMutants() []mutant.Mutant {
	net23, net24, net25, net27 := []string{"NET-23"}, []string{"NET-24"}, []string{"NET-25"}, []string{"NET-27"}
	return []mutant.Mutant{
		{Name: "port-zero-accepted", Cases: net23, Daemon: onPorts(func(m map[string]any) { m["hostPort"] = orPort(m["hostPort"], 0) }),
			Fault: "a port mapping with hostPort 0 is accepted"},
		{Name: "port-host-missing-accepted", Cases: net23, Daemon: onPorts(func(m map[string]any) { m["hostPort"] = orPort(m["hostPort"], nil) }),
			Fault: "a port mapping without hostPort is accepted"},
		{Name: "port-container-missing-accepted", Cases: net23, Daemon: onPorts(func(m map[string]any) { m["containerPort"] = orPort(m["containerPort"], nil) }),
			Fault: "a port mapping without containerPort is accepted"},
		{Name: "port-cut-to-16-bits", Cases: net23, Daemon: onPorts(func(m map[string]any) {
			m["hostPort"], m["containerPort"] = orPort(m["hostPort"], 65536), orPort(m["containerPort"], 65536)
		}), Fault: "a port beyond 65535 is accepted"},
		{Name: "port-last-refused", Cases: net23, Daemon: onPorts(func(m map[string]any) {
			if m["hostPort"] == 65535.0 {
				m["hostPort"] = 65536
			}
		}), Fault: "port 65535 is refused"},
		{Name: "port-protocol-unchecked", Cases: net23, Daemon: onPorts(func(m map[string]any) { delete(m, "protocol") }),
			Fault: "any protocol of a port mapping is accepted"},
		{Name: "port-protocol-by-case", Cases: net23, Daemon: onPorts(func(m map[string]any) {
			if p, ok := m["protocol"].(string); ok && p != strings.ToLower(p) {
				m["protocol"] = "unknown"
			}
		}), Fault: "a protocol in capitals is refused"},
		{Name: "port-sctp-refused", Cases: net23, Daemon: onPorts(func(m map[string]any) {
			if m["protocol"] == "sctp" {
				m["protocol"] = "unknown"
			}
		}), Fault: "the protocol SCTP is refused"},
		{Name: "port-protocol-default-udp", Cases: net23, Daemon: onPorts(func(m map[string]any) {
			if m["protocol"] == nil {
				m["protocol"] = "udp"
			}
		}), Fault: "a port mapping without a protocol is UDP's"},
		{Name: "port-protocol-always-tcp", Cases: net23, Daemon: onAskedPorts(func(m map[string]any) { m["protocol"] = "tcp" }),
			Fault: "every port mapping reaches the delegate as TCP's"},
		{Name: "ports-empty-accepted", Cases: net23, Daemon: withoutEmpty("portMappings"),
			Fault: "an empty list of port mappings is accepted"},
		{Name: "bandwidth-empty-accepted", Cases: net23, Daemon: withoutEmpty("bandwidth"),
			Fault: "a bandwidth without a rate is accepted"},
		{Name: "bandwidth-zero-accepted", Cases: net23, Daemon: onBandwidth(func(b map[string]any) {
			for key, value := range b {
				if value == 0.0 {
					delete(b, key)
				}
			}
			b["ingressRate"] = 1
		}), Fault: "rates and bursts of 0 are accepted"},
		{Name: "bandwidth-burst-alone-accepted", Cases: net23, Daemon: onBandwidth(func(b map[string]any) {
			if b["ingressRate"] == nil {
				delete(b, "ingressBurst")
				b["ingressRate"] = 1
			}
		}), Fault: "a burst without any rate is accepted"},
		{Name: "bandwidth-directions-mixed", Cases: net23, Daemon: onBandwidth(func(b map[string]any) {
			if b["ingressRate"] != nil && b["egressRate"] == nil {
				delete(b, "egressBurst")
			}
		}), Fault: "a burst is accepted with the rate of the other direction"},
		{Name: "bandwidth-32-bits", Cases: net23, Daemon: onBandwidth(func(b map[string]any) {
			if rate, ok := b["egressRate"].(float64); ok && rate > 0 {
				b["egressRate"] = uint32(uint64(rate))
			}
		}), Fault: "a rate beyond 32 bits is cut"},
		{Name: "claim-ignored-beside-ips", Cases: net24, Daemon: seam.OnEach(func(s map[string]any) { delete(s, "ipam-claim-reference") }),
			Fault: "with ips a claim's reference is ignored"},
		{Name: "ips-ignored-beside-claim", Cases: net24, Daemon: seam.OnEach(func(s map[string]any) {
			if s["ipam-claim-reference"] != nil {
				delete(s, "ips")
			}
		}), Fault: "with a claim's reference ips are ignored"},
		{Name: "claim-refused", Cases: net24, Daemon: seam.OnEach(func(s map[string]any) {
			if s["ipam-claim-reference"] != nil {
				s["ips"] = []string{"192.0.2.1"}
			}
		}), Fault: "a claim's reference is an error by itself"},
		{Name: "selection-second-at-kept", Cases: net25, Daemon: onComma(func(part string) string {
			if name, ifName, found := strings.Cut(part, "@"); found {
				return name + "@" + strings.ReplaceAll(ifName, "@", "-at-")
			}
			return part
		}), Fault: "what follows a second @ is taken for a part of the interface's name"},
		{Name: "selection-good-elements-attached", Cases: net25, Daemon: seam.OnNetworks(goodElements),
			Fault: "of a malformed comma list the good elements are attached"},
		{Name: "selection-good-json-attached", Cases: net25, Daemon: seam.OnNetworks(goodJSON),
			Fault: "of a malformed JSON list the good elements are attached"},
		{Name: "selection-ips-empty-accepted", Cases: net25, Daemon: withoutEmpty("ips"),
			Fault: "an empty list of addresses is accepted"},
		{Name: "selection-mac-of-8-bytes", Cases: net25, Daemon: seam.OnEach(func(s map[string]any) {
			if mac, ok := s["mac"].(string); ok && strings.Count(mac, ":") == 7 {
				delete(s, "mac")
			}
		}), Fault: "any hardware address is taken for an Ethernet address"},
		{Name: "selection-guid-of-6-bytes", Cases: net25, Daemon: seam.OnEach(func(s map[string]any) {
			if guid, ok := s["infiniband-guid"].(string); ok && strings.Count(guid, ":") == 5 {
				delete(s, "infiniband-guid")
			}
		}), Fault: "any hardware address is taken for a GUID"},
		{Name: "selection-malformed-silent", Kubernetes: true, Cases: net25, Daemon: func(a *seam.Assembly) {
			a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &unheeding{next} })
		}, Fault: "a malformed annotation is ignored and nobody is told"},
		{Name: "route-first-of-two", Cases: net27, Daemon: seam.OnSelections(func(all []map[string]any) []map[string]any { return oneRoute(all, func(any) bool { return true }) }),
			Fault: "of two networks with default-route the first gets it"},
		{Name: "route-empty-not-counted", Cases: net27, Daemon: seam.OnSelections(func(all []map[string]any) []map[string]any {
			for _, s := range all {
				if list, ok := s["default-route"].([]any); ok && len(list) == 0 {
					delete(s, "default-route")
				}
			}
			return all
		}), Fault: "an empty default-route beside another one is accepted"},
		{Name: "route-of-family-each", Cases: net27, Daemon: seam.OnSelections(func(all []map[string]any) []map[string]any { return oneRoute(all, otherFamily) }),
			Fault: "two networks may have default-route, one for each address family"},
	}
}

// orPort is a port, or 8080 in the place of a wrong one.
func orPort(port any, wrong any) any {
	if n, ok := wrong.(int); ok && port == float64(n) || wrong == nil && port == nil {
		return 8080
	}
	return port
}

// onPorts changes every port mapping that is asked for.
func onPorts(f func(m map[string]any)) func(*seam.Assembly) {
	return seam.OnEach(func(s map[string]any) {
		mappings, _ := s["portMappings"].([]any)
		for _, m := range mappings {
			if mapping, ok := m.(map[string]any); ok {
				f(mapping)
			}
		}
	})
}

// onAskedPorts changes every port mapping that reaches a delegate.
func onAskedPorts(f func(m map[string]any)) func(*seam.Assembly) {
	return onAsked(func(rc map[string]any) {
		mappings, _ := rc["portMappings"].([]any)
		for _, m := range mappings {
			if mapping, ok := m.(map[string]any); ok {
				f(mapping)
			}
		}
	})
}

// onBandwidth changes every bandwidth that is asked for.
func onBandwidth(f func(b map[string]any)) func(*seam.Assembly) {
	return seam.OnEach(func(s map[string]any) {
		if bandwidth, ok := s["bandwidth"].(map[string]any); ok {
			f(bandwidth)
		}
	})
}

// withoutEmpty drops a request that is an empty list or object.
func withoutEmpty(key string) func(*seam.Assembly) {
	return seam.OnEach(func(s map[string]any) {
		switch value := s[key].(type) {
		case []any:
			if len(value) == 0 {
				delete(s, key)
			}
		case map[string]any:
			if len(value) == 0 {
				delete(s, key)
			}
		}
	})
}

// goodJSON keeps the elements of a JSON list that can be read.
func goodJSON(_ context.Context, text, namespace string, _ cluster.Cluster) string {
	var all, good []json.RawMessage
	if !seam.IsJSON(text) || json.Unmarshal([]byte(text), &all) != nil {
		return text
	}
	for _, one := range all {
		if _, err := network.ParseSelections("["+string(one)+"]", namespace); err == nil {
			good = append(good, one)
		}
	}
	data, err := json.Marshal(good)
	if err != nil {
		return text
	}
	return string(data)
}

// oneRoute keeps the first default-route, and drops later ones as drop has it.
func oneRoute(all []map[string]any, drop func(route any) bool) []map[string]any {
	found := false
	for _, s := range all {
		if route, asks := s["default-route"]; asks && found && drop(route) {
			delete(s, "default-route")
		} else if asks {
			found = true
		}
	}
	return all
}

// otherFamily is true for the gateway that the case has of a second family.
func otherFamily(route any) bool {
	list, _ := route.([]any)
	return len(list) == 1 && list[0] == "fd00:3::1" || len(list) == 0
}

// unheeding is a cluster whose pods do not show a malformed annotation.
type unheeding struct{ *seam.ApiLayer }

// Pod implements cluster.Cluster.
func (u *unheeding) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return withoutMalformed(u.ApiLayer.Pod(ctx, namespace, name))
}

// LivePod implements cluster.LiveCluster.
func (u *unheeding) LivePod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return withoutMalformed(u.ApiLayer.LivePod(ctx, namespace, name))
}

func withoutMalformed(pod *cluster.Pod, err error) (*cluster.Pod, error) {
	if err != nil {
		return nil, err
	}
	if _, malformed := network.ParseSelections(pod.Annotations[network.NetworksAnnotation], pod.Namespace); malformed == nil {
		return pod, nil
	}
	changed := *pod
	changed.Annotations = maps.Clone(pod.Annotations)
	delete(changed.Annotations, network.NetworksAnnotation)
	return &changed, nil
}
