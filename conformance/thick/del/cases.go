// SPDX-License-Identifier: Apache-2.0

package del

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var cases = []thick.Case{
	{
		ID: "DEL-01", Level: spec.Must, Source: "CNI", Body: delReversed,
		Title: "Attachments are removed in reverse order, each with the interface name of its ADD",
	},
	{
		ID: "DEL-02", Level: spec.Must, Source: "CNI", Body: delAgain, Live: liveUnknownDel,
		Title: "A second DEL, and a DEL of a container never seen, succeed",
	},
	{
		ID: "DEL-03", Level: spec.Must, Source: "CNI, #323", Body: delWithoutNamespace, Slow: 8 * time.Second,
		Title: "DEL without namespace, or after it is gone, releases what lives outside it",
	},
	{
		ID: "DEL-04", Level: spec.Must, Source: "#1449, #920", Body: delConfigurationOfAdd,
		Title: "Each delegate gets exactly the configuration of its ADD, whatever has since become of it",
	},
	{
		ID: "DEL-05", Level: spec.Must, Source: "CNI", Body: delPrevResult,
		Title: "Each delegate gets prevResult",
	},
	{
		ID: "DEL-06", Level: spec.Must, Source: "#152", Body: delDelegateFails,
		Title: "A failing delegate does not stop the others; the error is reported, a later DEL tries again",
	},
	{
		ID: "DEL-07", Level: spec.Must, Source: "#1087", Body: delDamagedRecord, Slow: 6 * time.Second,
		Title: "A damaged record is reported, kept aside, harms no other container; DEL uses the configuration",
	},
	{
		ID: "DEL-08", Level: spec.Must, Source: "#1200", Body: delDuringAdd,
		Title: "A DEL during that container's ADD ends with nothing attached",
	},
	{
		ID: "DEL-09", Level: spec.Must, Source: "#920", Body: delWithoutCluster,
		Title: "No call to the Kubernetes API is needed for DEL",
	},
}
