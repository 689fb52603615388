// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile multinet: the parts of a selection, and what is made of wrong ones.
func init() {
	register(
		mutant{name: "selection-interface-ignored", cases: []string{"NET-01"}, daemon: onComma(func(part string) string {
			name, _, _ := strings.Cut(part, "@")
			return name
		}), fault: "in a comma list name@interface is attached as netN"},
		mutant{name: "selection-json-interface-ignored", cases: []string{"NET-01"}, daemon: onEach(func(s map[string]any) { delete(s, "interface") }),
			fault: "the interface that an element of a JSON list names is ignored"},
		mutant{name: "selection-json-namespace-ignored", cases: []string{"NET-01"}, daemon: onEach(func(s map[string]any) { delete(s, "namespace") }),
			fault: "the namespace that an element of a JSON list names is ignored"},
		mutant{name: "selection-empty-refused", cases: []string{"NET-01"}, daemon: onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
			if text == "" || text == "[]" {
				return "," // which is refused
			}
			return text
		}), fault: "an annotation that selects nothing is an error"},
		mutant{name: "selection-last-of-list", cases: []string{"NET-01"}, daemon: onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
			if isJSON(text) {
				return text
			}
			return text[strings.LastIndex(text, ",")+1:]
		}), fault: "of a comma list only the last element is attached"},
		mutant{name: "selection-ips-unchecked", cases: []string{"NET-07"}, daemon: onEach(dropBadAddresses),
			fault: "addresses that are none are dropped"},
		mutant{name: "selection-guid-unchecked", cases: []string{"NET-07"}, daemon: onEach(func(s map[string]any) { delete(s, "infiniband-guid") }),
			fault: "a GUID that is none is dropped"},
		mutant{name: "selection-route-unchecked", cases: []string{"NET-07"}, daemon: onEach(func(s map[string]any) { delete(s, "default-route") }),
			fault: "a gateway that is no address is dropped"},
		mutant{name: "selection-object-as-list", cases: []string{"NET-07"}, daemon: onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
			if strings.HasPrefix(text, "{") {
				return `[{"name":"alpha"}]` // stands for the object's own name, whose definition the case has not
			}
			return text
		}), fault: "an object in place of a list is taken for a list of one"},
		mutant{name: "selection-lower-case", cases: []string{"NET-07"}, daemon: onComma(strings.ToLower),
			fault: "names in capitals are taken for small ones"},
		mutant{name: "selection-interface-cut", cases: []string{"NET-07"}, daemon: onComma(func(part string) string {
			name, ifName, found := strings.Cut(part, "@")
			if !found {
				return part
			}
			return name + "@" + ifName[:min(len(ifName), 15)]
		}), fault: "an interface name that is too long for the kernel is cut"},
		mutant{name: "selection-bad-elements-skipped", cases: []string{"NET-07"}, daemon: onNetworks(goodElements),
			fault: "of a comma list the elements that can be read are attached"},
		mutant{name: "selection-extra-comma", cases: []string{"NET-07"}, daemon: onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
			return extraComma.ReplaceAllString(strings.ReplaceAll(text, "comma", "alpha"), "}")
		}), fault: "a comma too many in JSON is forgiven"},
		mutant{name: "selection-malformed-absent", cases: []string{"NET-07"}, daemon: malformedAbsent,
			fault: "an annotation that cannot be read is taken for the name of a network that does not exist"},
		mutant{name: "default-annotation-json-ignored", cases: []string{"NET-04"}, daemon: onDefaultNetwork(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
			if isJSON(text) {
				return ""
			}
			return text
		}), fault: "the default network of a pod cannot be named in JSON"},
		mutant{name: "default-annotation-adds", cases: []string{"NET-04"}, daemon: func(a *assembly) { a.onPod(defaultAdds) },
			fault: "a pod's own default network is attached beside everybody's"},
	)
}

var extraComma = regexp.MustCompile(`,\s*}`)

// onEach changes every element of a JSON list.
func onEach(f func(s map[string]any)) func(*assembly) {
	return onSelections(func(all []map[string]any) []map[string]any {
		for _, s := range all {
			f(s)
		}
		return all
	})
}

// onComma changes every element of a comma list.
func onComma(f func(part string) string) func(*assembly) {
	return onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		if isJSON(text) || strings.HasPrefix(text, "{") {
			return text
		}
		parts := strings.Split(text, ",")
		for i := range parts {
			parts[i] = f(parts[i])
		}
		return strings.Join(parts, ",")
	})
}

func dropBadAddresses(s map[string]any) {
	ips, ok := s["ips"].([]any)
	if !ok {
		return
	}
	s["ips"] = slices.DeleteFunc(ips, func(ip any) bool {
		_, _, err := net.ParseCIDR(fmt.Sprint(ip))
		return err != nil
	})
}

func goodElements(_ context.Context, text, namespace string, _ cluster.Cluster) string {
	if isJSON(text) || strings.HasPrefix(text, "{") {
		return text
	}
	parts := slices.DeleteFunc(strings.Split(text, ","), func(part string) bool {
		_, err := network.ParseSelections(part, namespace)
		return err != nil
	})
	return strings.Join(parts, ",")
}

func malformedAbsent(a *assembly) {
	onNetworks(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		if _, err := network.ParseSelections(text, namespace); err != nil {
			return "no-such-network"
		}
		return text
	})(a)
}

func defaultAdds(annotations map[string]string) {
	own := annotations[network.DefaultNetworkAnnotation]
	if own == "" || isJSON(own) || isJSON(annotations[network.NetworksAnnotation]) {
		return
	}
	delete(annotations, network.DefaultNetworkAnnotation)
	annotations[network.NetworksAnnotation] += "," + own
}
