// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"maps"
	"strings"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile multinet: what is malformed. A fault changes the annotation into
// one that is not: to take it for that is to accept it.
func init() {
	net23, net24, net25, net27 := []string{"NET-23"}, []string{"NET-24"}, []string{"NET-25"}, []string{"NET-27"}
	register(
		mutant{name: "port-zero-accepted", cases: net23, daemon: onPorts(func(m map[string]any) { m["hostPort"] = orPort(m["hostPort"], 0) }),
			fault: "a port mapping with hostPort 0 is accepted"},
		mutant{name: "port-host-missing-accepted", cases: net23, daemon: onPorts(func(m map[string]any) { m["hostPort"] = orPort(m["hostPort"], nil) }),
			fault: "a port mapping without hostPort is accepted"},
		mutant{name: "port-container-missing-accepted", cases: net23, daemon: onPorts(func(m map[string]any) { m["containerPort"] = orPort(m["containerPort"], nil) }),
			fault: "a port mapping without containerPort is accepted"},
		mutant{name: "port-cut-to-16-bits", cases: net23, daemon: onPorts(func(m map[string]any) {
			m["hostPort"], m["containerPort"] = orPort(m["hostPort"], 65536), orPort(m["containerPort"], 65536)
		}), fault: "a port beyond 65535 is accepted"},
		mutant{name: "port-last-refused", cases: net23, daemon: onPorts(func(m map[string]any) {
			if m["hostPort"] == 65535.0 {
				m["hostPort"] = 65536
			}
		}), fault: "port 65535 is refused"},
		mutant{name: "port-protocol-unchecked", cases: net23, daemon: onPorts(func(m map[string]any) { delete(m, "protocol") }),
			fault: "any protocol of a port mapping is accepted"},
		mutant{name: "port-protocol-by-case", cases: net23, daemon: onPorts(func(m map[string]any) {
			if p, ok := m["protocol"].(string); ok && p != strings.ToLower(p) {
				m["protocol"] = "unknown"
			}
		}), fault: "a protocol in capitals is refused"},
		mutant{name: "port-sctp-refused", cases: net23, daemon: onPorts(func(m map[string]any) {
			if m["protocol"] == "sctp" {
				m["protocol"] = "unknown"
			}
		}), fault: "the protocol SCTP is refused"},
		mutant{name: "ports-empty-accepted", cases: net23, daemon: withoutEmpty("portMappings"),
			fault: "an empty list of port mappings is accepted"},
		mutant{name: "bandwidth-empty-accepted", cases: net23, daemon: withoutEmpty("bandwidth"),
			fault: "a bandwidth without a rate is accepted"},
		mutant{name: "bandwidth-zero-accepted", cases: net23, daemon: onBandwidth(func(b map[string]any) {
			for key, value := range b {
				if value == 0.0 {
					delete(b, key)
				}
			}
			b["ingressRate"] = 1
		}), fault: "rates and bursts of 0 are accepted"},
		mutant{name: "bandwidth-burst-alone-accepted", cases: net23, daemon: onBandwidth(func(b map[string]any) {
			if b["ingressRate"] == nil {
				delete(b, "ingressBurst")
				b["ingressRate"] = 1
			}
		}), fault: "a burst without any rate is accepted"},
		mutant{name: "bandwidth-directions-mixed", cases: net23, daemon: onBandwidth(func(b map[string]any) {
			if b["ingressRate"] != nil && b["egressRate"] == nil {
				delete(b, "egressBurst")
			}
		}), fault: "a burst is accepted with the rate of the other direction"},
		mutant{name: "bandwidth-32-bits", cases: net23, daemon: onBandwidth(func(b map[string]any) {
			if rate, ok := b["egressRate"].(float64); ok && rate > 0 {
				b["egressRate"] = uint32(uint64(rate))
			}
		}), fault: "a rate beyond 32 bits is cut"},
		mutant{name: "claim-ignored-beside-ips", cases: net24, daemon: onEach(func(s map[string]any) { delete(s, "ipam-claim-reference") }),
			fault: "with ips a claim's reference is ignored"},
		mutant{name: "ips-ignored-beside-claim", cases: net24, daemon: onEach(func(s map[string]any) {
			if s["ipam-claim-reference"] != nil {
				delete(s, "ips")
			}
		}), fault: "with a claim's reference ips are ignored"},
		mutant{name: "claim-refused", cases: net24, daemon: onEach(func(s map[string]any) {
			if s["ipam-claim-reference"] != nil {
				s["ips"] = []string{"192.0.2.1"}
			}
		}), fault: "a claim's reference is an error by itself"},
		mutant{name: "selection-second-at-kept", cases: net25, daemon: onComma(func(part string) string {
			if name, ifName, found := strings.Cut(part, "@"); found {
				return name + "@" + strings.ReplaceAll(ifName, "@", "-at-")
			}
			return part
		}), fault: "what follows a second @ is taken for a part of the interface's name"},
		mutant{name: "selection-good-elements-attached", cases: net25, daemon: onNetworks(goodElements),
			fault: "of a malformed comma list the good elements are attached"},
		mutant{name: "selection-good-json-attached", cases: net25, daemon: onNetworks(goodJSON),
			fault: "of a malformed JSON list the good elements are attached"},
		mutant{name: "selection-ips-empty-accepted", cases: net25, daemon: withoutEmpty("ips"),
			fault: "an empty list of addresses is accepted"},
		mutant{name: "selection-mac-of-8-bytes", cases: net25, daemon: onEach(func(s map[string]any) {
			if mac, ok := s["mac"].(string); ok && strings.Count(mac, ":") == 7 {
				delete(s, "mac")
			}
		}), fault: "any hardware address is taken for an Ethernet address"},
		mutant{name: "selection-guid-of-6-bytes", cases: net25, daemon: onEach(func(s map[string]any) {
			if guid, ok := s["infiniband-guid"].(string); ok && strings.Count(guid, ":") == 5 {
				delete(s, "infiniband-guid")
			}
		}), fault: "any hardware address is taken for a GUID"},
		mutant{name: "selection-malformed-silent", kubernetes: true, cases: net25, daemon: func(a *assembly) {
			a.wrapAPI(func(next *apiLayer) cluster.Cluster { return &unheeding{next} })
		}, fault: "a malformed annotation is ignored and nobody is told"},
		mutant{name: "route-first-of-two", cases: net27, daemon: onSelections(func(all []map[string]any) []map[string]any { return oneRoute(all, func(any) bool { return true }) }),
			fault: "of two networks with default-route the first gets it"},
		mutant{name: "route-empty-not-counted", cases: net27, daemon: onSelections(func(all []map[string]any) []map[string]any {
			for _, s := range all {
				if list, ok := s["default-route"].([]any); ok && len(list) == 0 {
					delete(s, "default-route")
				}
			}
			return all
		}), fault: "an empty default-route beside another one is accepted"},
		mutant{name: "route-of-family-each", cases: net27, daemon: onSelections(func(all []map[string]any) []map[string]any { return oneRoute(all, otherFamily) }),
			fault: "two networks may have default-route, one for each address family"},
	)
}

// orPort is a port, or 8080 in the place of a wrong one.
func orPort(port any, wrong any) any {
	if n, ok := wrong.(int); ok && port == float64(n) || wrong == nil && port == nil {
		return 8080
	}
	return port
}

// onPorts changes every port mapping that is asked for.
func onPorts(f func(m map[string]any)) func(*assembly) {
	return onEach(func(s map[string]any) {
		mappings, _ := s["portMappings"].([]any)
		for _, m := range mappings {
			if mapping, ok := m.(map[string]any); ok {
				f(mapping)
			}
		}
	})
}

// onBandwidth changes every bandwidth that is asked for.
func onBandwidth(f func(b map[string]any)) func(*assembly) {
	return onEach(func(s map[string]any) {
		if bandwidth, ok := s["bandwidth"].(map[string]any); ok {
			f(bandwidth)
		}
	})
}

// withoutEmpty drops a request that is an empty list or object.
func withoutEmpty(key string) func(*assembly) {
	return onEach(func(s map[string]any) {
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
	if !isJSON(text) || json.Unmarshal([]byte(text), &all) != nil {
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
type unheeding struct{ *apiLayer }

// Pod implements cluster.Cluster.
func (u *unheeding) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return withoutMalformed(u.apiLayer.Pod(ctx, namespace, name))
}

// LivePod implements cluster.LiveCluster.
func (u *unheeding) LivePod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return withoutMalformed(u.apiLayer.LivePod(ctx, namespace, name))
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
