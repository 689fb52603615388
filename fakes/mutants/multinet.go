// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile multinet: what a pod's annotations select.
func init() {
	register(
		mutant{name: "selection-namespace-ignored", cases: []string{"NET-01"}, daemon: onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
			return namedNamespace.ReplaceAllString(text, "")
		}), fault: "definitions are looked for in the pod's own namespace only"},
		mutant{name: "selection-spaces-refused", cases: []string{"NET-01"}, daemon: onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
			if isJSON(text) {
				return text
			}
			return strings.ReplaceAll(text, " ", "_")
		}), fault: "spaces round the names of a comma list are an error"},
		mutant{name: "selection-first-of-json", cases: []string{"NET-01"}, daemon: onSelections(func(all []map[string]any) []map[string]any { return all[:1] }),
			fault: "of a JSON list only the first element is attached"},
		mutant{name: "selection-once-each", cases: []string{"NET-01"}, daemon: onNetworks(onceEach),
			fault: "a network that is selected twice is attached once"},
		mutant{name: "selection-malformed-skipped", cases: []string{"NET-07"}, daemon: onNetworks(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
			if _, err := network.ParseSelections(text, namespace); err != nil {
				return ""
			}
			return text
		}), fault: "an annotation that cannot be read selects nothing"},
		mutant{name: "selection-malformed-unquoted", cases: []string{"NET-07"}, daemon: onError(func(_ *answered, e map[string]any) {
			if msg, _ := e["msg"].(string); strings.Contains(msg, network.NetworksAnnotation) {
				e["msg"], e["details"] = "the pod's annotation cannot be read", ""
			}
		}), fault: "the error of a malformed annotation does not say what is wrong with it"},
		mutant{name: "selection-mac-unchecked", cases: []string{"NET-07"}, daemon: onSelections(func(all []map[string]any) []map[string]any {
			for _, s := range all {
				delete(s, "mac")
			}
			return all
		}), fault: "an address that is none is dropped"},
		mutant{name: "default-annotation-ignored", cases: []string{"NET-04"}, daemon: onDefaultNetwork(func(context.Context, string, string, cluster.Cluster) string { return "" }),
			fault: "a pod cannot have another default network"},
		mutant{name: "default-annotation-falls-back", cases: []string{"NET-04"}, daemon: onDefaultNetwork(withoutAbsent),
			fault: "a pod whose own default network does not exist gets everybody's"},
		mutant{name: "default-annotation-of-pods-namespace", cases: []string{"NET-04"}, daemon: onDefaultNetwork(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
			if text == "" || isJSON(text) || strings.Contains(text, "/") {
				return text
			}
			return namespace + "/" + text
		}), fault: "a default network without a namespace is looked for in the pod's"},
	)
}

// namedNamespace is what names another namespace than the pod's, in either form.
var namedNamespace = regexp.MustCompile(`[a-z0-9-]+/|,"namespace":"[^"]*"`)

func isJSON(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "[") }

// onAnnotation shows the planner another text of an annotation.
func onAnnotation(key string, f func(ctx context.Context, text, namespace string, next cluster.Cluster) string) func(*assembly) {
	return func(a *assembly) {
		a.onLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
			pod, err := next.Pod(ctx, namespace, name)
			if err != nil {
				return nil, err
			}
			changed := *pod
			changed.Annotations = map[string]string{}
			for k, v := range pod.Annotations {
				if k == key {
					v = f(ctx, v, namespace, next)
				}
				changed.Annotations[k] = v
			}
			return &changed, nil
		})
	}
}

func onNetworks(f func(ctx context.Context, text, namespace string, next cluster.Cluster) string) func(*assembly) {
	return onAnnotation(network.NetworksAnnotation, f)
}

func onDefaultNetwork(f func(ctx context.Context, text, namespace string, next cluster.Cluster) string) func(*assembly) {
	return onAnnotation(network.DefaultNetworkAnnotation, f)
}

// onSelections changes the elements of an annotation that is a JSON list.
func onSelections(f func(all []map[string]any) []map[string]any) func(*assembly) {
	return onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		var all []map[string]any
		if !isJSON(text) || json.Unmarshal([]byte(text), &all) != nil || len(all) == 0 {
			return text
		}
		changed, err := json.Marshal(f(all))
		if err != nil {
			panic(fmt.Sprintf("selections: %v", err)) // they were JSON a moment ago
		}
		return string(changed)
	})
}

// onceEach keeps the first of equal elements of a comma list.
func onceEach(_ context.Context, text, _ string, _ cluster.Cluster) string {
	if isJSON(text) {
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
	if !found || isJSON(text) {
		return text
	}
	if _, err := next.Definition(ctx, namespace, name); err != nil {
		return ""
	}
	return text
}
