// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var cases = []thick.Case{
	{
		ID: "NET-01", Level: spec.Must, Source: "NPWG", Body: selectionForms,
		Title: "The annotation networks in both forms: name, ns/name, name@if, comma lists; JSON lists",
	},
	{
		ID: "NET-02", Level: spec.Must, Source: "NPWG", Body: selectionRequests,
		Title: "What a selection asks for reaches the delegate as runtimeConfig or args",
	},
	{
		ID: "NET-03", Level: spec.Must, Source: "NPWG", Body: defaultRouteMoves, Slow: 6 * time.Second,
		Title: "default-route moves the pod's default route, IPv4 and IPv6",
	},
	{
		ID: "NET-04", Level: spec.Must, Source: "Multus", Needs: []spec.Feature{thick.FeaturePodDefault}, Body: defaultNetworkOfPod,
		Title: "v1.multus-cni.io/default-network replaces the default network of one pod",
	},
	{
		ID: "NET-05", Level: spec.Must, Source: "NPWG", Body: definitionOfFile,
		Title: "A definition with an empty spec.config uses the node's configuration file of that name",
	},
	{
		ID: "NET-06", Level: spec.Must, Source: "NPWG", Body: definitionsOfLists,
		Title: "Lists (plugins: […]) work as definitions",
	},
	{
		ID: "NET-17", Level: spec.Should, Source: "OPS", Body: definitionsUnusable,
		Title: "A definition whose list has no plugin, or a plugin without a type, is an error that names it",
	},
	{
		ID: "NET-07", Level: spec.Should, Source: "OPS", Body: malformedSelections,
		Title: "Malformed selections fail the ADD with a msg that quotes the part at fault",
	},
	{
		ID: "NET-08", Level: spec.Must, Source: "Multus", Needs: []spec.Feature{thick.FeatureIsolation, thick.FeatureRestart}, Body: namespaceIsolation,
		Title: "With namespaceIsolation a pod reaches only its own namespace and the global ones",
	},
	{
		ID: "NET-09", Level: spec.Must, Source: "NPWG", Body: statusOfEveryAttachment,
		Title: "network-status lists every attachment in order, with all that its result says",
	},
	{
		ID: "NET-11", Level: spec.Must, Source: "Multus", Needs: []spec.Feature{thick.FeatureNodeNetworks, thick.FeatureRestart}, Body: networksOfTheNode,
		Title: "clusterNetwork as definition, file or directory; defaultNetworks; systemNamespaces by the pod's namespace",
	},
}
