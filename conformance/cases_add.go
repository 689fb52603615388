// SPDX-License-Identifier: Apache-2.0

package conformance

import "time"

func init() {
	register(
		Case{
			ID: "ADD-01", Profile: "add", Level: Must, Source: "NPWG", Body: addInOrder,
			Title: "The default network comes first as CNI_IFNAME, then the others in order as asked or as net1, net2 …",
		},
		Case{
			ID: "ADD-02", Profile: "add", Level: Must, Source: "NPWG", Body: addResultOfDefault,
			Title: "The result is the default network's",
		},
		Case{
			ID: "ADD-03", Profile: "add", Level: Must, Source: "CNI, #1449", Body: addConfigurationIntact,
			Title: "Delegates get their configuration intact, CNI_PATH, CNI_ARGS, and runtimeConfig as they declare",
		},
		Case{
			ID: "ADD-04", Profile: "add", Level: Must, Source: "CNI", Body: addPrevResult,
			Title: "In a list each plugin gets the previous one's result as prevResult",
		},
		Case{
			ID: "ADD-05", Profile: "add", Level: Must, Source: "CNI", Body: addRollback,
			Title: "When attachment n fails, DEL runs for n, n-1, … 0, and the error is the delegate's",
		},
		Case{
			ID: "ADD-06", Profile: "add", Level: Must, Source: "#152", Body: addRollbackFails,
			Title: "A failing rollback does not hide the first error and does not stop the rest of the rollback",
		},
		Case{
			ID: "ADD-07", Profile: "add", Level: Must, Source: "#353, #1089", Body: addInterfaceTaken,
			Title: "An interface name asked for twice, or present in the namespace: error before any delegate runs",
		},
		Case{
			ID: "ADD-08", Profile: "add", Level: Must, Source: "OPS", Body: addDelegateHangs, Slow: 6 * time.Second,
			Title: "A delegate that hangs is killed with its children after its limit; rollback follows; code 11",
		},
		Case{
			ID: "ADD-09", Profile: "add", Level: Must, Source: "OPS", Body: addDelegateBroken,
			Title: "A crash, garbage, 100 MiB, no plugin: an error naming plugin and network, rollback, bounded memory",
		},
		Case{
			ID: "ADD-10", Profile: "add", Level: Must, Source: "CNI", Body: addOneAtATime,
			Title: "Requests of one container are served one at a time, those of different containers concurrently",
		},
		Case{
			ID: "ADD-11", Profile: "add", Level: Should, Source: "CNI", Body: addTwice,
			Title: "An ADD of an attachment that exists already fails, and changes nothing",
		},
		Case{
			ID: "ADD-12", Profile: "add", Level: Must, Source: "#414", Body: addPodUnknown,
			Title: "A pod that does not exist, or has another UID, is an error, never a made-up success",
		},
		Case{
			ID: "ADD-13", Profile: "add", Level: Must, Source: "CNI", Body: addNetnsMissing,
			Title: "A network namespace that does not exist: code 3 or 4 before any delegate runs",
		},
		Case{
			ID: "ADD-14", Profile: "add", Level: Must, Source: "#1200", Body: addClientGone,
			Title: "Disconnect before the answer: delegates stopped, rollback done, lock released",
		},
		Case{
			ID: "ADD-15", Profile: "add", Level: Must, Source: "CNI", Body: addNeverParallel,
			Title: "Delegates of one container never run in parallel",
		},
	)
}
