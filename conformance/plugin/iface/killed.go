// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var killedCases = []plugin.Case{
	{ID: "PLUG-22", Level: spec.Must, Source: "CNI §3, cilium#9913", Once: true, Slow: 30 * time.Second, Timeout: 3 * time.Minute,
		Title: "After an ADD that failed or was killed (SIGKILL) at any point, DEL leaves nothing", Body: killedAdds},
}

// kills is how many ADDs are killed at the most.
const kills = 60

func killedAdds(ctx context.Context, e *plugin.Env) {
	e.ScriptIPAM(script.Fake{Add: script.FakeStep{Delay: "20ms"}})
	first := e.Attach() // makes what the target file calls shared
	first.MustAdd(ctx)
	first.MustDel(ctx)
	var before plugin.State
	next := func() *plugin.Attachment {
		a := e.Attach() // a plugin that moves devices gets one of its own, which stays
		before = e.State()
		return a
	}
	e.KillADD(ctx, kills, next, func(a *plugin.Attachment, moment string) {
		answer := a.Del(ctx)
		Expect(answer.OK()).To(BeTrue(), "DEL after an ADD %s: %s", moment, answer.String())
		Expect(a.InterfaceNames()).To(BeEmpty(), "interfaces that are left in the container by an ADD %s, and DEL", moment)
		Expect(e.LeasesOf(a)).To(BeEmpty(), "addresses that are held by an ADD %s, and DEL", moment)
		e.ExpectRestored(before, "what is left on the host by an ADD "+moment+", and DEL")
		a.RemoveNetns()
	})
	if e.Target.Has(plugin.FeatureIPAM) {
		failedAdd(ctx, e)
	}
}

func failedAdd(ctx context.Context, e *plugin.Env) {
	ginkgo.GinkgoHelper()
	e.ScriptIPAM(script.Fake{Add: script.FakeStep{Error: types.NewError(117, "no address", "")}})
	a := e.Attach()
	before := e.State(a.Sandbox)
	e.MustFail(a.Add(ctx), "ADD with an IPAM plugin that fails")
	e.ScriptIPAM(script.Fake{})
	a.MustDel(ctx)
	e.ExpectRestored(before, "what is left of a failed ADD after DEL", a.Sandbox)
}
