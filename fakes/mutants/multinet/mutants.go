// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"strings"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile multinet: what a pod's annotations select.
var mutants = []mutant.Mutant{
	{Name: "selection-namespace-ignored", Cases: []string{"NET-01"}, Daemon: seam.OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		return seam.NamedNamespace.ReplaceAllString(text, "")
	}), Fault: "definitions are looked for in the pod's own namespace only"},
	{Name: "selection-spaces-refused", Cases: []string{"NET-01"}, Daemon: seam.OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		if seam.IsJSON(text) {
			return text
		}
		return strings.ReplaceAll(text, " ", "_")
	}), Fault: "spaces round the names of a comma list are an error"},
	{Name: "selection-first-of-json", Cases: []string{"NET-01"}, Daemon: seam.OnSelections(func(all []map[string]any) []map[string]any { return all[:1] }),
		Fault: "of a JSON list only the first element is attached"},
	{Name: "selection-once-each", Cases: []string{"NET-01"}, Daemon: seam.OnNetworks(onceEach),
		Fault: "a network that is selected twice is attached once"},
	{Name: "selection-malformed-skipped", Cases: []string{"NET-07"}, Daemon: seam.OnNetworks(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		if _, err := network.ParseSelections(text, namespace); err != nil {
			return ""
		}
		return text
	}), Fault: "an annotation that cannot be read selects nothing"},
	{Name: "selection-malformed-unquoted", Cases: []string{"NET-07"}, Daemon: seam.OnError(func(_ *seam.Answered, e map[string]any) {
		if msg, _ := e["msg"].(string); strings.Contains(msg, network.NetworksAnnotation) {
			e["msg"], e["details"] = "the pod's annotation cannot be read", ""
		}
	}), Fault: "the error of a malformed annotation does not say what is wrong with it"},
	{Name: "selection-mac-unchecked", Cases: []string{"NET-07"}, Daemon: seam.OnSelections(func(all []map[string]any) []map[string]any {
		for _, s := range all {
			delete(s, "mac")
		}
		return all
	}), Fault: "an address that is none is dropped"},
	{Name: "default-annotation-ignored", Cases: []string{"NET-04"}, Daemon: onDefaultNetwork(func(context.Context, string, string, cluster.Cluster) string { return "" }),
		Fault: "a pod cannot have another default network"},
	{Name: "default-annotation-falls-back", Cases: []string{"NET-04"}, Daemon: onDefaultNetwork(withoutAbsent),
		Fault: "a pod whose own default network does not exist gets everybody's"},
	{Name: "default-annotation-of-pods-namespace", Cases: []string{"NET-04"}, Daemon: onDefaultNetwork(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		if text == "" || seam.IsJSON(text) || strings.Contains(text, "/") {
			return text
		}
		return namespace + "/" + text
	}), Fault: "a default network without a namespace is looked for in the pod's"},
}

func onDefaultNetwork(f func(ctx context.Context, text, namespace string, next cluster.Cluster) string) func(*seam.Assembly) {
	return seam.OnAnnotation(network.DefaultNetworkAnnotation, f)
}

// onceEach keeps the first of equal elements of a comma list.
func onceEach(_ context.Context, text, _ string, _ cluster.Cluster) string {
	if seam.IsJSON(text) {
		return text
	}
	seen := map[string]bool{}
	var kept []string
	for part := range strings.SplitSeq(text, ",") {
		if !seen[part] {
			kept = append(kept, part)
		}
		seen[part] = true
	}
	return strings.Join(kept, ",")
}

// withoutAbsent drops an annotation namespace/name of a definition that does
// not exist.
func withoutAbsent(ctx context.Context, text, _ string, next cluster.Cluster) string {
	namespace, name, found := strings.Cut(text, "/")
	if !found || seam.IsJSON(text) {
		return text
	}
	if _, err := next.Definition(ctx, namespace, name); err != nil {
		return ""
	}
	return text
}
