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

// kills is how many ADDs are killed at the most.
const kills = 150

func killedAdd(ctx context.Context, e *plugin.Env) {
	smallPool(e)
	all := fill(ctx, e)
	Expect(all).NotTo(BeEmpty(), "containers that the network has room for")
	// The network has room for one: whatever is kept is missed at once.
	others, a := all[:len(all)-1], all[len(all)-1]
	release(ctx, []*plugin.Attachment{a})
	next := func() *plugin.Attachment { return a }
	e.KillADD(ctx, kills, next, func(_ *plugin.Attachment, moment string) {
		answer := a.Del(ctx, plugin.NoPrevResult())
		Expect(answer.OK()).To(BeTrue(), "DEL after an ADD %s: %s", moment, answer.String())
		again := a.Add(ctx)
		Expect(again.OK()).To(BeTrue(), "ADD after an ADD %s, and a DEL: %s", moment, again.String())
		a.MustDel(ctx)
	})
	release(ctx, others)
	Expect(fill(ctx, e)).To(HaveLen(len(all)), "containers that the network has room for after ADDs that were killed and deleted")
}
