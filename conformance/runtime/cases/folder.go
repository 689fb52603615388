// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var folderCases = []runtime.Case{
	{ID: "RT-31", Level: spec.Must, Source: "CNI §1", Body: folderAppended,
		Title: "Plugins of the network's folder are appended; with loadOnlyInlinedPlugins they are not"},
}

func folderAppended(ctx context.Context, e *runtime.Env) {
	n := e.NewNetwork("p1")
	e.Folder(n, "10-p2.conf", map[string]any{"type": "p2", "text": "of the folder"})
	e.Folder(n, "20-p3.conf", map[string]any{"type": "p3"})
	e.Write(n)
	a := e.Attach(n)
	e.MustOK(e.Add(ctx, a))
	calls := e.CallsOf("ADD", a)
	executed := runtime.Types(calls)
	Expect(executed).To(ConsistOf("p1", "p2", "p3"), "the plugins that were executed with ADD: one of the network's file and two of its folder")
	Expect(executed[0]).To(Equal("p1"), "the first plugin that was executed with ADD, before those of the folder")
	for _, c := range calls {
		Expect(c.Config()).To(HaveKeyWithValue("name", n.Name), "what %s got", c.Type)
		Expect(c.Config()).To(HaveKeyWithValue("cniVersion", n.Version()), "what %s got", c.Type)
		if c.Type == "p2" {
			Expect(c.Config()).To(HaveKeyWithValue("text", "of the folder"), "what %s got", c.Type)
		}
	}
	e.MustOK(e.Del(ctx, a))
	Expect(runtime.Types(e.CallsOf("DEL", a))).To(ConsistOf("p1", "p2", "p3"), "the plugins that were executed with DEL: one of the network's file and two of its folder")
	e.Forget(n)

	inlined := e.NewNetwork("p1")
	inlined.Keys["loadOnlyInlinedPlugins"] = true
	e.Folder(inlined, "10-p2.conf", map[string]any{"type": "p2"})
	e.Write(inlined)
	b := e.Attach(inlined)
	e.MustOK(e.Add(ctx, b))
	executed = runtime.Types(e.CallsOf("ADD", b))
	Expect(executed).To(Or(Equal(forward[:1]), Equal(forward[:2])), "the plugins that were executed with ADD of a network with loadOnlyInlinedPlugins")
	if len(executed) == 2 {
		// Two sentences of the specification contradict each other; see runtime.Open.
		e.Notef("plugins of the folder are executed with loadOnlyInlinedPlugins, as one of two sentences has it")
	}
	e.MustOK(e.Del(ctx, b))
}
