// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var killCases = []plugin.Case{
	{ID: "IPAM-14", Level: spec.Must, Source: "CNI §3", Needs: []spec.Feature{plugin.FeaturePool}, Once: true, Slow: 20 * time.Second, Timeout: 3 * time.Minute,
		Title: "Killed (SIGKILL) at any point of ADD: DEL leaves no reservation and no lock", Body: killedAdd},
}

// kills is how many ADDs are killed.
const kills = 150

func killedAdd(ctx context.Context, e *plugin.Env) {
	smallPool(e)
	all := fill(ctx, e)
	release(ctx, all)
	a := e.Attach()
	next := func() *plugin.Attachment { return a }
	e.KillADD(ctx, kills, next, func(*plugin.Attachment) {
		answer := a.Del(ctx, plugin.NoPrevResult())
		Expect(answer.OK()).To(BeTrue(), "DEL after an ADD that was killed: %s", answer.String())
	})
	Expect(fill(ctx, e)).To(HaveLen(len(all)), "containers that the network has room for after %d ADDs that were killed and deleted", kills)
}
