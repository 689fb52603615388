// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile multinet: the parts of a selection, and what is made of wrong ones.
var selectionsMutants = []mutant.Mutant{
	{Name: "selection-interface-ignored", Cases: []string{"NET-01"}, Daemon: onComma(func(part string) string {
		name, _, _ := strings.Cut(part, "@")
		return name
	}), Fault: "in a comma list name@interface is attached as netN"},
	{Name: "selection-json-interface-ignored", Cases: []string{"NET-01"}, Daemon: seam.OnEach(func(s map[string]any) { delete(s, "interface") }),
		Fault: "the interface that an element of a JSON list names is ignored"},
	{Name: "selection-json-namespace-ignored", Cases: []string{"NET-01"}, Daemon: seam.OnEach(func(s map[string]any) { delete(s, "namespace") }),
		Fault: "the namespace that an element of a JSON list names is ignored"},
	{Name: "selection-empty-refused", Cases: []string{"NET-01"}, Daemon: seam.OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		if text == "" || text == "[]" {
			return "," // which is refused
		}
		return text
	}), Fault: "an annotation that selects nothing is an error"},
	{Name: "selection-last-of-list", Cases: []string{"NET-01"}, Daemon: seam.OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		if seam.IsJSON(text) {
			return text
		}
		return text[strings.LastIndex(text, ",")+1:]
	}), Fault: "of a comma list only the last element is attached"},
	{Name: "selection-ips-unchecked", Cases: []string{"NET-07"}, Daemon: seam.OnEach(dropBadAddresses),
		Fault: "addresses that are none are dropped"},
	{Name: "selection-guid-unchecked", Cases: []string{"NET-07"}, Daemon: seam.OnEach(func(s map[string]any) { delete(s, "infiniband-guid") }),
		Fault: "a GUID that is none is dropped"},
	{Name: "selection-route-unchecked", Cases: []string{"NET-07"}, Daemon: seam.OnEach(func(s map[string]any) { delete(s, "default-route") }),
		Fault: "a gateway that is not an address is dropped"},
	{Name: "selection-object-as-list", Cases: []string{"NET-07"}, Daemon: seam.OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		if strings.HasPrefix(text, "{") {
			return `[{"name":"alpha"}]` // stands for the object's own name, whose definition the case has not
		}
		return text
	}), Fault: "an object in place of a list is taken for a list of one"},
	{Name: "selection-lower-case", Cases: []string{"NET-07"}, Daemon: onComma(strings.ToLower),
		Fault: "names in capitals are taken for small ones"},
	{Name: "selection-interface-cut", Cases: []string{"NET-07"}, Daemon: onComma(func(part string) string {
		name, ifName, found := strings.Cut(part, "@")
		if !found {
			return part
		}
		return name + "@" + ifName[:min(len(ifName), 15)]
	}), Fault: "an interface name that is too long for the kernel is cut"},
	{Name: "selection-bad-elements-skipped", Cases: []string{"NET-07"}, Daemon: seam.OnNetworks(goodElements),
		Fault: "of a comma list the elements that can be read are attached"},
	{Name: "selection-extra-comma", Cases: []string{"NET-07"}, Daemon: seam.OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		return extraComma.ReplaceAllString(strings.ReplaceAll(text, "comma", "alpha"), "}")
	}), Fault: "a comma too many in JSON is forgiven"},
	{Name: "selection-malformed-absent", Cases: []string{"NET-07"}, Daemon: malformedAbsent,
		Fault: "an annotation that cannot be read is taken for the name of a network that does not exist"},
	{Name: "default-annotation-json-ignored", Cases: []string{"NET-04"}, Daemon: onDefaultNetwork(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		if seam.IsJSON(text) {
			return ""
		}
		return text
	}), Fault: "the default network of a pod cannot be named in JSON"},
	{Name: "default-annotation-adds", Cases: []string{"NET-04"}, Daemon: func(a *seam.Assembly) { a.OnPod(defaultAdds) },
		Fault: "a pod's own default network is attached beside everybody's"},
}

var extraComma = regexp.MustCompile(`,\s*}`)

// onComma changes every element of a comma list.
func onComma(f func(part string) string) func(*seam.Assembly) {
	return seam.OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		if seam.IsJSON(text) || strings.HasPrefix(text, "{") {
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
	if seam.IsJSON(text) || strings.HasPrefix(text, "{") {
		return text
	}
	parts := slices.DeleteFunc(strings.Split(text, ","), func(part string) bool {
		_, err := network.ParseSelections(part, namespace)
		return err != nil
	})
	return strings.Join(parts, ",")
}

func malformedAbsent(a *seam.Assembly) {
	seam.OnNetworks(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		if _, err := network.ParseSelections(text, namespace); err != nil {
			return "no-such-network"
		}
		return text
	})(a)
}

func defaultAdds(annotations map[string]string) {
	own := annotations[network.DefaultNetworkAnnotation]
	if own == "" || seam.IsJSON(own) || seam.IsJSON(annotations[network.NetworksAnnotation]) {
		return
	}
	delete(annotations, network.DefaultNetworkAnnotation)
	annotations[network.NetworksAnnotation] += "," + own
}
