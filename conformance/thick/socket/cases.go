// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var cases = []thick.Case{
	{
		ID: "SOCK-01", Level: spec.Must, Source: "API", Body: socketOnly, Live: liveSocket,
		Title: "The daemon listens on <run directory>/multus.sock, a unix socket, and nowhere else",
	},
	{
		ID: "SOCK-02", Level: spec.Must, Source: "API", Body: socketMode, Live: liveMode,
		Title: "The socket is owned by root:root with mode 0600",
	},
	{
		ID: "SOCK-03", Level: spec.Must, Source: "API", Body: socketRunDirMade,
		Title: "The run directory is created when missing, root-owned, mode 0700",
	},
	{
		ID: "SOCK-04", Level: spec.Must, Source: "OPS", Body: socketNeverLax,
		Needs: []spec.Feature{thick.FeatureRestart}, Slow: 15 * time.Second, Timeout: 2 * time.Minute,
		Title: "At no instant of 50 restarts does another process see the socket with a laxer mode",
	},
	{
		ID: "SOCK-05", Level: spec.Must, Source: "OPS", Body: socketStaleReplaced,
		Needs: []spec.Feature{thick.FeatureRestart},
		Title: "A socket left by a crashed daemon is replaced at start",
	},
	{
		ID: "SOCK-06", Level: spec.Must, Source: "OPS", Body: socketObstacleRefused,
		Needs: []spec.Feature{thick.FeatureRestart},
		Title: "A file, symlink or directory at the socket's path: refused with the reason, left as it was",
	},
	{
		ID: "SOCK-07", Level: spec.Must, Source: "OPS", Body: socketRunDirRefused, Live: liveRunDir,
		Needs: []spec.Feature{thick.FeatureRestart},
		Title: "A run directory that is a symlink, not root's, or writable by group or others is refused",
	},
	{
		ID: "SOCK-08", Level: spec.Must, Source: "OPS", Body: socketNeighboursSurvive,
		Title: "Other files in the run directory survive a start and a stop",
	},
	{
		ID: "SOCK-09", Level: spec.Must, Source: `API ("root-owned")`, Body: socketPeerRefused,
		Title: "A peer whose uid is not 0 gets 403 and nothing is executed, even when it can open the socket",
	},
	{
		ID: "SOCK-10", Level: spec.Must, Source: "OPS", Body: socketSecondRefused,
		Needs: []spec.Feature{thick.FeatureRestart},
		Title: "A second daemon on the same run directory refuses to start; the first is not disturbed",
	},
	{
		ID: "SOCK-11", Level: spec.Must, Source: "seen in Multus 4.3", Body: socketTakenOver,
		Needs: []spec.Feature{thick.FeatureRestart},
		Title: "An old daemon that ends after a new one took over removes nothing of the new one's",
	},
	{
		ID: "SOCK-12", Level: spec.Must, Source: "OPS", Body: socketFlooded,
		Title: "500 idle connections and clients that drip a header do not keep a request from being served",
	},
}
