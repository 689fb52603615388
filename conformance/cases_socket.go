// SPDX-License-Identifier: Apache-2.0

package conformance

import "time"

func init() {
	register(
		Case{
			ID: "SOCK-01", Profile: "socket", Level: Must, Source: "API", Body: socketOnly, Live: liveSocket,
			Title: "The daemon listens on <run directory>/multus.sock, a unix socket, and nowhere else",
		},
		Case{
			ID: "SOCK-02", Profile: "socket", Level: Must, Source: "API", Body: socketMode, Live: liveMode,
			Title: "The socket is owned by root:root with mode 0600",
		},
		Case{
			ID: "SOCK-03", Profile: "socket", Level: Must, Source: "API", Body: socketRunDirMade,
			Title: "The run directory is created when missing, root-owned, mode 0700",
		},
		Case{
			ID: "SOCK-04", Profile: "socket", Level: Must, Source: "OPS", Body: socketNeverLax,
			Needs: []Feature{FeatureRestart}, Slow: 15 * time.Second, Timeout: 2 * time.Minute,
			Title: "At no instant of 50 restarts does another process see the socket with a laxer mode",
		},
		Case{
			ID: "SOCK-05", Profile: "socket", Level: Must, Source: "OPS", Body: socketStaleReplaced,
			Needs: []Feature{FeatureRestart},
			Title: "A socket left by a crashed daemon is replaced at start",
		},
		Case{
			ID: "SOCK-06", Profile: "socket", Level: Must, Source: "OPS", Body: socketObstacleRefused,
			Needs: []Feature{FeatureRestart},
			Title: "A file, symlink or directory at the socket's path: refused with the reason, left as it was",
		},
		Case{
			ID: "SOCK-07", Profile: "socket", Level: Must, Source: "OPS", Body: socketRunDirRefused, Live: liveRunDir,
			Needs: []Feature{FeatureRestart},
			Title: "A run directory that is a symlink, not root's, or writable by group or others is refused",
		},
		Case{
			ID: "SOCK-08", Profile: "socket", Level: Must, Source: "OPS", Body: socketNeighboursSurvive,
			Title: "Other files in the run directory survive a start and a stop",
		},
		Case{
			ID: "SOCK-09", Profile: "socket", Level: Must, Source: `API ("root-owned")`, Body: socketPeerRefused,
			Title: "A peer whose uid is not 0 gets 403 and nothing is executed, even when it can open the socket",
		},
		Case{
			ID: "SOCK-10", Profile: "socket", Level: Must, Source: "OPS", Body: socketSecondRefused,
			Needs: []Feature{FeatureRestart},
			Title: "A second daemon on the same run directory refuses to start; the first is not disturbed",
		},
		Case{
			ID: "SOCK-11", Profile: "socket", Level: Must, Source: "seen in Multus 4.3", Body: socketTakenOver,
			Needs: []Feature{FeatureRestart},
			Title: "An old daemon that ends after a new one took over removes nothing of the new one's",
		},
		Case{
			ID: "SOCK-12", Profile: "socket", Level: Must, Source: "OPS", Body: socketFlooded,
			Title: "500 idle connections and clients that drip a header do not keep a request from being served",
		},
	)
}
