// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"fmt"
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var versionCases = []runtime.Case{
	{ID: "RT-08", Level: spec.Must, Source: "CNI §1, cni#941", Body: highestVersion,
		Title: "The highest version of cniVersion and cniVersions that the runtime knows is used"},
	{ID: "RT-09", Level: spec.Should, Source: "CNI §1", Body: unknownVersion,
		Title: "A version that it does not know is refused before a plugin runs"},
}

// future is a version that no runtime knows.
const future = "9.9.0"

func highestVersion(ctx context.Context, e *runtime.Env) {
	for _, offered := range [][]string{{"0.3.1", "0.3.1", "1.0.0", future}, {"1.0.0", "0.4.0", future}, {"0.4.0", future, "1.0.0", "0.3.1"}} {
		var common []string
		for _, v := range offered {
			if slices.Contains(e.Target.Versions(), v) {
				common = append(common, v)
			}
		}
		if len(common) == 0 {
			continue
		}
		best := slices.MaxFunc(common, func(a, b string) int {
			if a == b {
				return 0
			} else if runtime.AtLeast(a, b) {
				return 1
			}
			return -1
		})
		what := fmt.Sprintf("a network with cniVersion %s and cniVersions %v", offered[0], offered[1:])
		ginkgo.By(what)
		n := e.NewNetwork()
		n.Keys["cniVersion"], n.Keys["cniVersions"] = offered[0], offered[1:]
		e.Write(n)
		a := e.Attach(n)
		e.MustOK(e.Add(ctx, a))
		e.MustOK(e.Del(ctx, a))
		for _, c := range append(e.CallsOf("ADD", a), e.CallsOf("DEL", a)...) {
			Expect(c.Config()).To(HaveKeyWithValue("cniVersion", best), "what %s got at %s, of %s", c.Type, c.Command, what)
		}
		e.Forget(n)
	}
}

func unknownVersion(ctx context.Context, e *runtime.Env) {
	for _, more := range [][]string{nil, {future}} {
		n := e.NewNetwork()
		n.Keys["cniVersion"] = future
		if more != nil {
			n.Keys["cniVersions"] = more
		}
		e.Write(n)
		what := fmt.Sprintf("ADD of a network with cniVersion %s and cniVersions %v", future, more)
		a := e.Attach(n)
		e.MustFail(e.Add(ctx, a), what)
		expectNone(e, what)
		e.Forget(n)
	}
}
