// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var checkCases = []plugin.Case{
	{ID: "CHN-07", Level: spec.Must, Source: "CNI §2 CHECK", Since: "0.4.0", Needs: []spec.Feature{plugin.FeatureCheck},
		Title: "CHECK succeeds after ADD and changes nothing", Body: checkSucceeds},
	{ID: "CHN-08", Level: spec.Should, Source: "CNI §2 CHECK", Since: "0.4.0", Needs: []spec.Feature{plugin.FeatureCheck}, Slow: 5 * time.Second,
		Title: "CHECK fails when a rule, shaping or setting of its own is gone", Body: checkNotices},
}

func checkSucceeds(ctx context.Context, e *plugin.Env) {
	a, b := e.Attach(), e.Attach()
	a.MustAdd(ctx)
	before := e.State(a.Sandbox)
	e.MustOK(a.Check(ctx))
	e.MustOK(a.Check(ctx))
	e.ExpectUnchanged(before, "what CHECK changed", a.Sandbox)
	b.MustAdd(ctx)
	e.MustOK(a.Check(ctx))
	e.MustOK(b.Check(ctx))
}

// checkNotices takes away what ADD made, a kind of things at a time.
func checkNotices(ctx context.Context, e *plugin.Env) {
	asked := 0
	for _, kind := range kinds {
		a := e.Attach()
		before := e.State(a.Sandbox)
		a.MustAdd(ctx)
		e.MustOK(a.Check(ctx))
		made := slices.DeleteFunc(e.Changes(before, true, a.Sandbox), func(line string) bool { return !kind.of(line) })
		if len(made) > 0 {
			asked++
			kind.takeAway(a, made)
			e.MustFail(a.Check(ctx), "without what ADD made: "+strings.Join(made, "; "))
		}
		e.MustOK(a.Del(ctx))
	}
	Expect(asked).To(BeNumerically(">", 0), "kinds of things that ADD made and that the suite can take away")
}
