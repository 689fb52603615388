// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var gcCases = []runtime.Case{
	{ID: "RT-21", Level: spec.Must, Source: "CNI §2 GC, §3, cni#1101", Body: gcNamesAll, Needs: []spec.Feature{runtime.FeatureGC},
		Title: "GC names all live attachments of the network in cni.dev/valid-attachments, with CNI_PATH, and runs alone"},
	{ID: "RT-22", Level: spec.Must, Source: "CNI §3, cni#1086", Body: gcFails, Needs: []spec.Feature{runtime.FeatureGC},
		Title: "A GC error does not stop the other plugins and is reported; disableGC and versions below 1.1.0 mean no GC"},
	{ID: "RT-23", Level: spec.Must, Source: "CNI §2 GC", Body: staleDeleted, Needs: []spec.Feature{runtime.FeatureGC},
		Title: "What the runtime knows as stale gets DEL, not only GC"},
}

// added makes containers that are attached to a network.
func added(ctx context.Context, e *runtime.Env, n *runtime.Network, count int) []*runtime.Attachment {
	ginkgo.GinkgoHelper()
	var all []*runtime.Attachment
	for range count {
		a := e.Attach(n)
		e.MustOK(e.Add(ctx, a))
		e.CallsOf("ADD", a) // its id, where the runtime chooses it
		all = append(all, a)
	}
	return all
}

func gcNamesAll(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	all := added(ctx, e, n, 3)
	live := all[:2]
	e.LoseNamespace(all[2])
	e.MustOK(e.GC(ctx, n, live...))
	calls := e.Node.CallsOf("GC")
	Expect(sorted(runtime.Types(calls))).To(Equal(forward), "the plugins that were executed with GC")
	for _, c := range calls {
		for _, a := range live {
			Expect(valid(c)).To(ContainElement(types.GCAttachment{ContainerID: a.ID, IfName: a.IfName}), "cni.dev/valid-attachments that %s got, with two live attachments", c.Type)
		}
		path, _ := runtime.Variable(c, "CNI_PATH")
		Expect(filepath.SplitList(path)).To(ContainElement(e.BinDir), "CNI_PATH of %s at GC", c.Type)
		Expect(c.Config()).To(HaveKeyWithValue("name", n.Name), "what %s got at GC", c.Type)
	}
	if e.Has(runtime.FeatureLifecycle) {
		gcDuringAdd(ctx, e, n, live)
	}
	for _, a := range live {
		e.MustOK(e.Del(ctx, a))
	}
}

// gcDuringAdd asks for GC while an ADD of the network is in progress, and for ADD
// while GC is.
func gcDuringAdd(ctx context.Context, e *runtime.Env, n *runtime.Network, live []*runtime.Attachment) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a GC of a network during an ADD")
	e.ResetCalls()
	a, b := e.Attach(n), e.Attach(n)
	add := func(of *runtime.Attachment) func() runtime.Answer {
		return func() runtime.Answer { return e.Add(ctx, of) }
	}
	gc := func(valid ...*runtime.Attachment) func() runtime.Answer {
		return func() runtime.Answer { return e.GC(ctx, n, append(slices.Clone(live), valid...)...) }
	}
	added, collected := alongside(ctx, e, script.Fake{Add: script.FakeStep{WaitFor: waited(e)}}, "ADD", add(a), "GC", gc(a))
	e.MustOK(added)
	e.MustOK(collected)

	ginkgo.By("an ADD to a network during its GC")
	e.ResetCalls()
	_, added = alongside(ctx, e, script.Fake{GC: script.FakeStep{WaitFor: waited(e)}}, "GC", gc(a), "ADD", add(b))
	for _, one := range []*runtime.Attachment{a, b} {
		if one == a || added.OK { // an ADD may be refused meanwhile
			e.MustOK(e.Del(ctx, one))
		}
	}
}

// valid are the attachments that a GC names.
func valid(c script.Call) []types.GCAttachment {
	ginkgo.GinkgoHelper()
	raw := runtime.Fields(c)["cni.dev/valid-attachments"]
	Expect(raw).NotTo(BeNil(), "cni.dev/valid-attachments that %s got", c.Type)
	var all []types.GCAttachment
	Expect(json.Unmarshal(raw, &all)).To(Succeed())
	return all
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}

func gcFails(ctx context.Context, e *runtime.Env) {
	others := "what p3 says, 4712"
	e.Script("p1", script.Fake{GC: failing(117)})
	e.Script("p3", script.Fake{GC: script.FakeStep{Error: types.NewError(118, others, "")}})
	n := e.Network()
	a := added(ctx, e, n, 1)[0]
	answer := e.GC(ctx, n, a)
	Expect(sorted(runtime.Types(e.Node.CallsOf("GC")))).To(Equal(forward), "the plugins that were executed with GC, of which the first and the third fail")
	e.MustFail(answer, "GC with plugins that fail")
	Expect(answer.Said).To(And(ContainSubstring(words), ContainSubstring(others)), "what the caller is told of the two plugins' msgs")
	e.Script("p1", script.Fake{})
	e.Script("p3", script.Fake{})
	e.MustOK(e.Del(ctx, a))
	e.Forget(n)

	disabled := e.NewNetwork()
	disabled.Keys["disableGC"] = true
	older := e.NewNetwork()
	older.Keys["cniVersion"] = "1.0.0"
	for what, n := range map[string]*runtime.Network{"has disableGC": disabled, "is of cniVersion 1.0.0": older} {
		if !slices.Contains(e.Target.Versions(), n.Version()) {
			continue
		}
		e.Write(n)
		e.ResetCalls()
		e.GC(ctx, n)
		Expect(runtime.Types(e.Node.CallsOf("GC"))).To(BeEmpty(), "plugins that were executed with GC of a network that %s", what)
		e.Forget(n)
	}
}

func staleDeleted(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	all := added(ctx, e, n, 2)
	live, stale := all[0], all[1]
	e.LoseNamespace(stale)
	e.MustOK(e.GC(ctx, n, live))
	expectOrder(e.CallsOf("DEL", stale), backward, "DEL of an attachment that is stale at GC")
	expectFinal(e.CallsOf("DEL", stale), "of an attachment that is stale at GC")
	Expect(runtime.Types(e.CallsOf("DEL", live))).To(BeEmpty(), "plugins that were executed with DEL of an attachment that is alive at GC")
	e.MustOK(e.Del(ctx, live))
}
