// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var cases = []thick.Case{
	{
		ID: "READY-01", Level: spec.Must, Source: "API", Needs: []spec.Feature{thick.FeatureClient}, Body: readyCheckedNow,
		Title: "CheckAPIReadyNow: nil when ready; without a daemon an error within 1 s that names the socket",
	},
	{
		ID: "READY-02", Level: spec.Must, Source: "API", Body: readyPromptly,
		Title: "WaitUntilAPIReady returns within two poll periods after the daemon became ready",
	},
	{
		ID: "READY-03", Level: spec.Must, Source: "API", Needs: []spec.Feature{thick.FeatureClient}, Body: readyGivesUp,
		Slow: 61 * time.Second, Waits: true, Timeout: 90 * time.Second,
		Title: "WaitUntilAPIReady gives up after APIReadyPollTimeout, not before and at most a second later",
	},
	{
		ID: "READY-04", Level: spec.Must, Source: "#1221", Needs: []spec.Feature{thick.FeatureClient}, Body: readySocketRecreated,
		Title: "WaitUntilAPIReady survives the socket being removed and re-created while it waits",
	},
	{
		ID: "READY-05", Level: spec.Must, Source: "OPS", Needs: []spec.Feature{thick.FeatureClient}, Body: readySilentPeer,
		Title: "A peer that accepts and never answers does not hold the check past its deadline",
	},
	{
		ID: "READY-06", Level: spec.Must, Source: "API", Body: readyHealthMethods, Live: healthMethods,
		Title: "/healthz answers 200 to GET and POST, 405 with Allow to any other method",
	},
	{
		ID: "READY-07", Level: spec.Must, Source: "Multus 4.3", Body: readyzTellsTheTruth, Live: liveReady,
		Needs: []spec.Feature{thick.FeatureReadyz},
		Title: "/readyz is 200 when ADD can be served, not before the caches are synced nor from SIGTERM on",
	},
	{
		ID: "READY-08", Level: spec.Must, Source: "Multus 4.3", Body: readyDrains,
		Title: "From SIGTERM on requests in flight finish, DEL is served, /healthz stays 200; then it ends",
	},
	{
		ID: "READY-09", Level: spec.Must, Source: "API", Body: readyShimWaits,
		Slow:  6 * time.Second,
		Title: "ADD and CHECK wait for readiness; DEL checks once and never waits",
	},
}
