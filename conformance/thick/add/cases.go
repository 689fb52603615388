// SPDX-License-Identifier: Apache-2.0

package add

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var cases = []thick.Case{
	{
		ID: "ADD-01", Level: spec.Must, Source: "NPWG", Body: addInOrder,
		Title: "The default network comes first as CNI_IFNAME, then the others in order as asked or as net1, net2 …",
	},
	{
		ID: "ADD-02", Level: spec.Must, Source: "NPWG", Body: addResultOfDefault,
		Title: "The result is the default network's",
	},
	{
		ID: "ADD-03", Level: spec.Must, Source: "CNI, #1449", Body: addConfigurationIntact,
		Title: "Delegates get their configuration intact, CNI_PATH, CNI_ARGS, and runtimeConfig as they declare",
	},
	{
		ID: "ADD-04", Level: spec.Must, Source: "CNI", Body: addPrevResult,
		Title: "In a list each plugin gets the previous one's result as prevResult",
	},
	{
		ID: "ADD-05", Level: spec.Must, Source: "CNI", Body: addRollback,
		Title: "When attachment n fails, DEL runs for n, n-1, … 0, and the error is the delegate's",
	},
	{
		ID: "ADD-06", Level: spec.Must, Source: "#152", Body: addRollbackFails,
		Title: "A failing rollback does not hide the first error and does not stop the rest of the rollback",
	},
	{
		ID: "ADD-07", Level: spec.Must, Source: "#353, #1089", Body: addInterfaceTaken,
		Title: "An interface name asked for twice, or present in the namespace: error before any delegate runs",
	},
	{
		ID: "ADD-08", Level: spec.Must, Source: "OPS", Body: addDelegateHangs, Slow: 6 * time.Second,
		Title: "A delegate that hangs is killed with its children after its limit; rollback follows; code 11",
	},
	{
		ID: "ADD-09", Level: spec.Must, Source: "OPS", Body: addDelegateBroken,
		Title: "A crash, garbage, 100 MiB, no plugin: an error naming plugin and network, rollback, bounded memory",
	},
	{
		ID: "ADD-10", Level: spec.Must, Source: "CNI", Body: addOneAtATime,
		Title: "Requests of one container are served one at a time, those of different containers concurrently",
	},
	{
		ID: "ADD-11", Level: spec.Should, Source: "CNI", Body: addTwice,
		Title: "An ADD of an attachment that exists already fails, and changes nothing",
	},
	{
		ID: "ADD-12", Level: spec.Must, Source: "#414", Body: addPodUnknown,
		Title: "A pod that does not exist, or has another UID, is an error, never a made-up success",
	},
	{
		ID: "ADD-13", Level: spec.Must, Source: "CNI", Body: addNetnsMissing,
		Title: "A network namespace that does not exist: code 3 or 4 before any delegate runs",
	},
	{
		ID: "ADD-14", Level: spec.Must, Source: "#1200", Body: addClientGone,
		Title: "Disconnect before the answer: delegates stopped, rollback done, lock released",
	},
	{
		ID: "ADD-15", Level: spec.Must, Source: "CNI", Body: addNeverParallel,
		Title: "Delegates of one container never run in parallel",
	},
}
