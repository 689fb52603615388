// SPDX-License-Identifier: Apache-2.0

package conformance

import "time"

func init() {
	register(
		Case{
			ID: "SHIM-01", Profile: "shim", Level: Must, Source: "CNI", Body: shimVersions,
			Title: "VERSION lists every CNI version from 0.1.0 to 1.1.0 without a daemon",
		},
		Case{
			ID: "SHIM-02", Profile: "shim", Level: Must, Source: "CNI", Body: shimResultVersions,
			Title: "ADD prints the result in the configuration's cniVersion, for each of those versions",
		},
		Case{
			ID: "SHIM-03", Profile: "shim", Level: Must, Source: "CNI", Body: shimStdoutOnly,
			Title: "Nothing but the result or the error is on stdout; logs go to logFile, or to stderr when asked",
		},
		Case{
			ID: "SHIM-04", Profile: "shim", Level: Must, Source: "API", Body: shimByteForByte,
			Title: "The environment's CNI_* and the configuration reach the daemon byte for byte",
		},
		Case{
			ID: "SHIM-05", Profile: "shim", Level: Must, Source: "CNI", Body: shimErrorAsItCame,
			Title: "A daemon's CNI error is printed as it came and the exit status is not 0",
		},
		Case{
			ID: "SHIM-06", Profile: "shim", Level: Must, Source: "CNI, API", Body: shimAddGivesUp,
			Slow: 61 * time.Second, Timeout: 100 * time.Second,
			Title: "Without a daemon, ADD waits for APIReadyPollTimeout and then fails with a CNI error on stdout",
		},
		Case{
			ID: "SHIM-07", Profile: "shim", Level: Must, Source: "API, #1146, #323", Body: shimDelLater,
			Needs: []Feature{FeatureRestart}, Slow: 6 * time.Second,
			Title: "Without a daemon, DEL ends within 2 s with 0 and is carried out once later, or fails if it cannot be",
		},
		Case{
			ID: "SHIM-08", Profile: "shim", Level: Must, Source: "CNI", Body: shimStatusUnavailable,
			Needs: []Feature{FeatureStatus},
			Title: "Without a daemon, STATUS fails within 2 s with code 50",
		},
		Case{
			ID: "SHIM-09", Profile: "shim", Level: Must, Source: "CNI", Body: shimBadConfiguration,
			Title: "An unusable configuration: code 6 or 7, naming the key, before any connection",
		},
		Case{
			ID: "SHIM-10", Profile: "shim", Level: Must, Source: "#1200", Body: shimKilled,
			Title: "A shim killed during ADD leaves nothing: the daemon stops the delegates and rolls back",
		},
		Case{
			ID: "SHIM-11", Profile: "shim", Level: Must, Source: "CNI", Body: shimDelWithoutNetns,
			Title: "DEL with CNI_NETNS empty or unset works",
		},
		Case{
			ID: "SHIM-12", Profile: "shim", Level: Must, Source: "#1221", Body: shimReplaced,
			Needs: []Feature{FeatureInstall},
			Title: `The installed shim can be replaced while it runs (atomic rename; no "text file busy")`,
		},
		Case{
			ID: "SHIM-14", Profile: "shim", Level: Should, Source: "CNI", Body: shimTryAgainLater,
			Slow: 61 * time.Second, Timeout: 100 * time.Second,
			Title: "The error of SHIM-06 has code 11 (try again later) and names the socket",
		},
		Case{
			ID: "SHIM-13", Profile: "shim", Level: Should, Source: "OPS", Body: shimSmall,
			Title: "The shim imports nothing of Kubernetes; its binary is under 8 MiB, its memory under 16 MiB",
		},
		Case{
			ID: "SHIM-15", Profile: "shim", Level: Should, Source: "CNI", Body: shimOwnNamespace,
			Title: "ADD and DEL in the namespace that the shim itself runs in are refused before any delegate runs",
		},
	)
}
