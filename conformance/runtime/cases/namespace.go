// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var namespaceCases = []runtime.Case{
	{ID: "RT-16", Level: spec.Must, Source: "CNI §2 DEL, CRIO#2849, CRIO#9372, ocicni#64", Body: namespaceGone,
		Title: "With the namespace gone DEL is executed, and CNI_NETNS is never another's namespace"},
}

func namespaceGone(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	ginkgo.By("a DEL after the namespace went")
	a := e.Attach(n)
	e.MustOK(e.Add(ctx, a))
	e.LoseNamespace(a)
	e.Del(ctx, a)
	calls := e.CallsOf("DEL", a)
	expectOrder(calls, backward, "DEL without the namespace")
	for _, c := range calls {
		Expect(c.Container).To(BeZero(), "the network namespace at CNI_NETNS %q of %s at DEL, after the container's went", c.Netns, c.Type)
	}
	if !e.Has(runtime.FeatureLifecycle) {
		e.Notef("a path at which another's namespace is now was not asked for: a library leaves it to its caller to know")
		return
	}
	ginkgo.By("a DEL after another container's namespace took the path")
	b := e.Attach(n)
	e.MustOK(e.Add(ctx, b))
	other := e.Usurp(b)
	e.Del(ctx, b)
	calls = e.CallsOf("DEL", b)
	expectOrder(calls, backward, "DEL with another container's namespace at the path")
	for _, c := range calls {
		Expect(c.Container).NotTo(Equal(other), "CNI_NETNS %q of %s at DEL is another container's namespace", c.Netns, c.Type)
	}
}
