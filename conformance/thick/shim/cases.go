// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var cases = []thick.Case{
	{
		ID: "SHIM-01", Level: spec.Must, Source: "CNI", Body: shimVersions,
		Title: "VERSION lists every CNI version from 0.1.0 to 1.1.0 without a daemon",
	},
	{
		ID: "SHIM-02", Level: spec.Must, Source: "CNI", Body: shimResultVersions,
		Title: "ADD prints the result in the configuration's cniVersion, for each of those versions",
	},
	{
		ID: "SHIM-03", Level: spec.Must, Source: "CNI", Body: shimStdoutOnly,
		Title: "Nothing but the result or the error is on stdout; logs go to logFile, or to stderr when asked",
	},
	{
		ID: "SHIM-04", Level: spec.Must, Source: "API", Body: shimByteForByte,
		Title: "The environment's CNI_* and the configuration reach the daemon byte for byte",
	},
	{
		ID: "SHIM-05", Level: spec.Must, Source: "CNI", Body: shimErrorAsItCame,
		Title: "A daemon's CNI error is printed as it came and the exit status is not 0",
	},
	{
		ID: "SHIM-06", Level: spec.Must, Source: "CNI, API", Body: shimAddGivesUp,
		Slow: 61 * time.Second, Waits: true, Timeout: 100 * time.Second,
		Title: "Without a daemon, ADD waits for APIReadyPollTimeout and then fails with a CNI error on stdout",
	},
	{
		ID: "SHIM-07", Level: spec.Must, Source: "API, #1146, #323", Body: shimDelLater,
		Needs: []spec.Feature{thick.FeatureRestart}, Slow: 6 * time.Second,
		Title: "Without a daemon, DEL ends within 2 s with 0 and is carried out once later, or fails if it cannot be",
	},
	{
		ID: "SHIM-08", Level: spec.Must, Source: "CNI", Body: shimStatusUnavailable,
		Needs: []spec.Feature{thick.FeatureStatus},
		Title: "Without a daemon, STATUS fails within 2 s with code 50",
	},
	{
		ID: "SHIM-09", Level: spec.Must, Source: "CNI", Body: shimBadConfiguration,
		Title: "An unusable configuration: code 6 or 7, naming the key, before any connection",
	},
	{
		ID: "SHIM-10", Level: spec.Must, Source: "#1200", Body: shimKilled,
		Title: "A shim killed during ADD leaves nothing: the daemon stops the delegates and rolls back",
	},
	{
		ID: "SHIM-11", Level: spec.Must, Source: "CNI", Body: shimDelWithoutNetns,
		Title: "DEL with CNI_NETNS empty or unset works",
	},
	{
		ID: "SHIM-12", Level: spec.Must, Source: "#1221", Body: shimReplaced,
		Needs: []spec.Feature{thick.FeatureInstall},
		Title: `The installed shim can be replaced while it runs (atomic rename; no "text file busy")`,
	},
	{
		ID: "SHIM-14", Level: spec.Should, Source: "CNI", Body: shimTryAgainLater,
		Slow: 61 * time.Second, Waits: true, Timeout: 100 * time.Second,
		Title: "The error of SHIM-06 has code 11 (try again later) and names the socket",
	},
	{
		ID: "SHIM-13", Level: spec.Should, Source: "OPS", Body: shimSmall,
		Title: "The shim imports nothing of Kubernetes; its binary is under 8 MiB, its memory under 16 MiB",
	},
	{
		ID: "SHIM-15", Level: spec.Should, Source: "CNI", Body: shimOwnNamespace,
		Title: "ADD in the namespace that the shim itself runs in is refused before any delegate runs",
	},
}
