// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var addCases = []runtime.Case{
	{ID: "RT-01", Level: spec.Must, Source: "CNI §3", Body: addInOrder,
		Title: "ADD executes the list's plugins in order, once each; the first without prevResult, the others with the one before's result"},
	{ID: "RT-10", Level: spec.Must, Source: "CNI §3", Body: addFails,
		Title: "When a plugin fails ADD no later one runs, and the caller gets its msg"},
	{ID: "RT-25", Level: spec.Should, Source: "CNI §2 ADD", Body: addTwice,
		Title: "No second ADD of an attachment without DEL"},
	{ID: "RT-28", Level: spec.Must, Source: "CNI §3", Body: addPrevResultOfFile,
		Title: "The first ADD has no prevResult, whatever the file says"},
}

func addInOrder(ctx context.Context, e *runtime.Env) {
	a := e.Attach(e.Network())
	e.MustOK(e.Add(ctx, a))
	calls := e.CallsOf("ADD", a)
	expectOrder(calls, forward, "ADD")
	Expect(runtime.Marks(calls[0])).To(BeNil(), "the prevResult of the first plugin")
	Expect(runtime.Marks(calls[1])).To(Equal(forward[:1]), "the plugins through which the second one's prevResult has come")
	Expect(runtime.Marks(calls[2])).To(Equal(forward[:2]), "the plugins through which the third one's prevResult has come")
	expectWhole(calls[1:])
	e.MustOK(e.Del(ctx, a))

	// A type may occur more than once.
	e.Forget(a.Networks[0])
	twice := e.Attach(e.Network("p3", "p1", "p3"))
	e.MustOK(e.Add(ctx, twice))
	calls = e.CallsOf("ADD", twice)
	expectOrder(calls, []string{"p3", "p1", "p3"}, "ADD of a list that has p3 twice")
	Expect(runtime.Marks(calls[2])).To(Equal([]string{"p3", "p1"}), "the plugins through which the prevResult of the second p3 has come")
	e.MustOK(e.Del(ctx, twice))
}

func addFails(ctx context.Context, e *runtime.Env) {
	e.Script("p2", script.Fake{Add: failing(117)})
	a := e.Attach(e.Network())
	answer := e.Add(ctx, a)
	e.MustFail(answer, "ADD with a second plugin that fails")
	Expect(runtime.Types(e.Node.CallsOf("ADD"))).To(Equal(forward[:2]), "the plugins that were executed with ADD, of which the second fails")
	Expect(answer.Said).To(ContainSubstring(words), "what the caller is told of the plugin's msg")
}

func addTwice(ctx context.Context, e *runtime.Env) {
	a := e.Attach(e.Network())
	e.MustOK(e.Add(ctx, a))
	again := e.Add(ctx, a)
	Expect(runtime.Types(e.Node.CallsOf("ADD"))).To(Equal(forward), "the plugins that were executed with ADD, asked for twice: %s", again.String())
	e.MustOK(e.Del(ctx, a))
}

func addPrevResultOfFile(ctx context.Context, e *runtime.Env) {
	n := e.NewNetwork()
	for _, p := range n.Plugins {
		p["prevResult"] = map[string]any{"cniVersion": n.Version(), "ips": []any{}, "dns": map[string]any{"search": []any{"of-the-file"}}}
	}
	e.Write(n)
	a := e.Attach(n)
	answer := e.Add(ctx, a)
	calls := e.Node.CallsOf("ADD")
	if answer.Failed() && len(calls) == 0 {
		e.Notef("a configuration with prevResult is refused")
		return
	}
	Expect(calls).NotTo(BeEmpty(), "executions with ADD: %s", answer.String())
	// It comes before the answer, which it may spoil.
	Expect(runtime.Marks(calls[0])).To(BeNil(), "the prevResult of the first plugin, whose configuration's file has one")
	e.MustOK(answer)
	Expect(runtime.Types(calls)).To(HaveLen(3), "executions with ADD")
	Expect(runtime.Marks(calls[1])).To(Equal(forward[:1]), "the plugins through which the second one's prevResult has come")
	e.MustOK(e.Del(ctx, a))

	// Nor has it the result of an ADD before.
	e.ResetCalls()
	e.MustOK(e.Add(ctx, a))
	calls = e.Node.CallsOf("ADD")
	Expect(runtime.Types(calls)).To(HaveLen(3), "executions with ADD after ADD and DEL")
	Expect(runtime.Marks(calls[0])).To(BeNil(), "the prevResult of the first plugin at an ADD after ADD and DEL of the same container")
	e.MustOK(e.Del(ctx, a))
}
