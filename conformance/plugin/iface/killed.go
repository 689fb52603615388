// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// kills is how many ADDs are killed.
const kills = 60

func killedAdds(ctx context.Context, e *plugin.Env) {
	// Attaching makes what the target file calls shared, and says how long an
	// ADD takes.
	e.ScriptIPAM(script.Fake{Add: script.FakeStep{Delay: "20ms"}})
	longest := time.Minute
	for range 3 {
		a := e.Attach()
		answer := a.Add(ctx)
		e.MustOK(answer)
		a.MustDel(ctx)
		longest = min(longest, answer.Took*5/4)
	}
	before := e.State()
	interrupted := 0
	for i := range kills {
		a := e.Attach()
		x := e.Begin(ctx, a.Request("ADD"))
		after := time.Duration(rand.Int64N(int64(longest)))
		time.Sleep(after) // the moment is what the case is about
		x.Kill()
		if killed := x.Wait(); killed.Exit < 0 {
			interrupted++
		}
		what := fmt.Sprintf("ADD %d, killed after %s", i+1, after.Round(time.Microsecond))
		e.MustOK(a.Del(ctx))
		Expect(a.InterfaceNames()).To(BeEmpty(), "interfaces that are left in the container by %s, and DEL", what)
		Expect(e.LeasesOf(a)).To(BeEmpty(), "addresses that are held by %s, and DEL", what)
		a.RemoveNetns()
	}
	e.Notef("%d of %d ADDs were killed before they ended, at random moments in %s", interrupted, kills, longest.Round(time.Millisecond))
	e.ExpectRestored(before, "what is left of killed ADDs on the host after DEL")
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
