// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var refusedCases = []runtime.Case{
	{ID: "RT-26", Level: spec.Should, Source: "CNI §3, containerd#5768, k8s#80482", Body: executableMissing,
		Title: "A missing executable is found before the first plugin runs; what was added can still be deleted"},
	{ID: "RT-27", Level: spec.Must, Source: "CNI §1", Body: typeIsPath,
		Title: "A type with a path separator is never executed"},
}

func executableMissing(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	back := e.Hide("p2")
	a := e.Attach(n)
	e.MustFail(e.Add(ctx, a), "ADD with an executable that is missing")
	Expect(runtime.Types(e.Node.CallsOf("ADD"))).To(BeEmpty(), "plugins that were executed with ADD though the second one's executable is missing")
	e.Del(ctx, a)
	back()

	e.ResetCalls()
	b := e.Attach(n)
	e.MustOK(e.Add(ctx, b))
	back = e.Hide("p2")
	without := e.Del(ctx, b)
	back()
	e.MustOK(e.Del(ctx, b))
	deleted := runtime.Types(e.CallsOf("DEL", b))
	Expect(deleted).To(ContainElements("p1", "p3"), "the plugins that were executed with DEL, once without p2's executable and then with it")
	if without.Failed() { // else the runtime goes on without it
		Expect(deleted).To(ContainElement("p2"), "the plugins that were executed with DEL, after a DEL that failed for want of p2's executable")
	}
}

func typeIsPath(ctx context.Context, e *runtime.Env) {
	for _, path := range []string{"../" + filepath.Base(e.BinDir) + "/p1", filepath.Join(e.BinDir, "p1"), "./p1"} {
		ginkgo.By("a network whose plugin's type is " + path)
		n := e.Network(path)
		a := e.Attach(n)
		e.MustFail(e.Add(ctx, a), "ADD of a network whose plugin's type is "+path)
		e.Del(ctx, a)
		expectNone(e, "ADD and DEL of a network whose plugin's type is "+path)
		e.Forget(n)
	}
}
