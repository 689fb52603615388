// SPDX-License-Identifier: Apache-2.0

package conformance

import "time"

func init() {
	register(
		Case{
			ID: "READY-01", Profile: "ready", Level: Must, Source: "API", Body: readyCheckedNow,
			Title: "CheckAPIReadyNow: nil when ready; without a daemon an error within 1 s that names the socket",
		},
		Case{
			ID: "READY-02", Profile: "ready", Level: Must, Source: "API", Body: readyPromptly,
			Title: "WaitUntilAPIReady returns within two poll periods after the daemon became ready",
		},
		Case{
			ID: "READY-03", Profile: "ready", Level: Must, Source: "API", Body: readyGivesUp,
			Slow: 61 * time.Second, Timeout: 90 * time.Second,
			Title: "WaitUntilAPIReady gives up after APIReadyPollTimeout, not before and at most a second later",
		},
		Case{
			ID: "READY-04", Profile: "ready", Level: Must, Source: "#1221", Body: readySocketRecreated,
			Title: "WaitUntilAPIReady survives the socket being removed and re-created while it waits",
		},
		Case{
			ID: "READY-05", Profile: "ready", Level: Must, Source: "OPS", Body: readySilentPeer,
			Title: "A peer that accepts and never answers does not hold the check past its deadline",
		},
		Case{
			ID: "READY-06", Profile: "ready", Level: Must, Source: "API", Body: readyHealthMethods, Live: healthMethods,
			Title: "/healthz answers 200 to GET and POST, 405 with Allow to any other method",
		},
		Case{
			ID: "READY-07", Profile: "ready", Level: Must, Source: "Multus 4.3", Body: readyzTellsTheTruth, Live: liveReady,
			Needs: []Feature{FeatureReadyz},
			Title: "/readyz is 200 when ADD can be served, not before the caches are synced nor from SIGTERM on",
		},
		Case{
			ID: "READY-08", Profile: "ready", Level: Must, Source: "Multus 4.3", Body: readyDrains,
			Title: "From SIGTERM on requests in flight finish, DEL is served, /healthz stays 200; then it ends",
		},
		Case{
			ID: "READY-09", Profile: "ready", Level: Must, Source: "API", Body: readyShimWaits,
			Slow:  6 * time.Second,
			Title: "ADD and CHECK wait for readiness; DEL checks once and never waits",
		},
	)
}
