// SPDX-License-Identifier: Apache-2.0

package conformance

import "time"

func init() {
	register(
		Case{
			ID: "NET-01", Profile: "multinet", Level: Must, Source: "NPWG", Body: selectionForms,
			Title: "The annotation networks in both forms: name, ns/name, name@if, comma lists; JSON lists",
		},
		Case{
			ID: "NET-02", Profile: "multinet", Level: Must, Source: "NPWG", Body: selectionRequests,
			Title: "What a selection asks for reaches the delegate as runtimeConfig or args",
		},
		Case{
			ID: "NET-03", Profile: "multinet", Level: Must, Source: "NPWG", Body: defaultRouteMoves, Slow: 6 * time.Second,
			Title: "default-route moves the pod's default route, IPv4 and IPv6",
		},
		Case{
			ID: "NET-04", Profile: "multinet", Level: Must, Source: "Multus", Body: defaultNetworkOfPod,
			Title: "v1.multus-cni.io/default-network replaces the default network of one pod",
		},
		Case{
			ID: "NET-05", Profile: "multinet", Level: Must, Source: "NPWG", Body: definitionOfFile,
			Title: "A definition with an empty spec.config uses the node's configuration file of that name",
		},
		Case{
			ID: "NET-06", Profile: "multinet", Level: Must, Source: "NPWG", Body: definitionsOfLists,
			Title: "Lists (plugins: […]) work as definitions",
		},
		Case{
			ID: "NET-17", Profile: "multinet", Level: Should, Source: "OPS", Body: definitionsUnusable,
			Title: "A definition whose list has no plugin, or a plugin without a type, is an error that names it",
		},
		Case{
			ID: "NET-07", Profile: "multinet", Level: Should, Source: "OPS", Body: malformedSelections,
			Title: "Malformed selections fail the ADD with a msg that quotes the part at fault",
		},
		Case{
			ID: "NET-08", Profile: "multinet", Level: Must, Source: "Multus", Needs: []Feature{FeatureRestart}, Body: namespaceIsolation,
			Title: "With namespaceIsolation a pod reaches only its own namespace and the global ones",
		},
		Case{
			ID: "NET-09", Profile: "multinet", Level: Must, Source: "NPWG", Body: statusOfEveryAttachment,
			Title: "network-status lists every attachment in order, with all that its result says",
		},
		Case{
			ID: "NET-11", Profile: "multinet", Level: Must, Source: "Multus", Needs: []Feature{FeatureRestart}, Body: networksOfTheNode,
			Title: "clusterNetwork as definition, file or directory; defaultNetworks; systemNamespaces by the pod's namespace",
		},
	)
}

// setting gives the daemon's configuration a key, under Multus' name for it.
func setting(key string, value any) StartOption {
	return ConfigPatch(func(config map[string]any) { config[key] = value })
}
