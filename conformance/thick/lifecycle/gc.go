// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// gcInvalidOnly is GC-01.
func gcInvalidOnly(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.Numbered(expect.RealInterface(), script.Fake{})...))
	e.Definition("green", e.FakeList("green", expect.RealInterface()))
	e.Start(ctx)
	kept := e.Sandbox(node.Networks("blue,green@data0,green"))
	e.MustOK(e.Add(ctx, kept))
	hotplugged(ctx, e, kept)
	for _, w := range expect.WaysOf(e) {
		ginkgo.By("one of four is named, through " + w.Name)
		stale := []*node.Sandbox{e.Sandbox(node.Networks("blue,green")), e.Sandbox(node.Networks("green@x0,blue")), e.Sandbox(node.Networks("blue"))}
		for _, s := range stale {
			e.MustOK(e.Add(ctx, s))
		}
		hotplugged(ctx, e, stale[0])
		stale[2].RemoveNetns()
		before := expect.StateOf(e, kept)
		expect.Served(w.Ask(ctx, expect.GcRequest(e, kept)), "GC")
		for _, s := range stale {
			expect.Deleted(e, s)
			expect.NoOverlap(e.CallsFor("DEL", s))
		}
		expect.Untouched(ctx, e, kept, before)
	}

	if e.Supports(thick.FeatureHotplug) {
		afterHotplug(ctx, e, kept)
	}

	ginkgo.By("another one is named, by a runtime that has the spec's key only")
	another := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, another))
	valid := []any{expect.AttachmentOf(another, another.IfName)}
	expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.WithKey(expect.NodeRequest(e, expect.Nobody(e), "GC"), expect.ValidKey, valid)), "GC")
	expect.Deleted(e, kept)
	Expect(expect.PlacesOf(e.CallsFor("DEL", another))).To(BeEmpty(), "DEL of what GC must keep")

	ginkgo.By("none is named")
	expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.GcRequest(e)), "GC")
	expect.Deleted(e, another)
}

// gcRounds are how often GC comes right after a hot-plug's answer.
const gcRounds = 8

// afterHotplug asks for GC right after the answer to a hot-plug of the sandbox to
// delete. A daemon may still be recording that answer. GC deletes the sandbox all the
// same.
func afterHotplug(ctx context.Context, e *thick.Env, kept *node.Sandbox) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a hot-plug has just been answered")
	for range gcRounds {
		s := e.Sandbox()
		e.MustOK(e.Add(ctx, s))
		collect := expect.GcRequest(e, kept)
		hotplugged(ctx, e, s)
		expect.Served(expect.WaysOf(e)[0].Ask(ctx, collect), "GC")
		expect.Deleted(e, s)
	}
}

// hotplugged attaches hot0 to a sandbox, where the target can do that.
func hotplugged(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	if e.Supports(thick.FeatureHotplug) {
		e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", e.FakeList("hot", expect.RealInterface()))))
	}
}

// gcDelegates is GC-02.
func gcDelegates(ctx context.Context, e *thick.Env) {
	gcNetworks(e)
	e.Start(ctx)
	a, b := e.Sandbox(node.Networks("blue,blue@data0,old")), e.Sandbox(node.Networks("old,blue"))
	b.IfName = "ens5"
	stale := []*node.Sandbox{e.Sandbox(node.Networks("blue,lonely")), e.Sandbox(node.Networks("blue,stuck"))}
	for _, s := range append(stale, a, b) {
		e.MustOK(e.Add(ctx, s))
	}
	if e.Supports(thick.FeatureHotplug) {
		e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, a, "ADD", expect.Versioned(e.FakeList("hot"), "1.1.0"))))
	}
	want := map[string][]map[string]any{
		"default": {expect.AttachmentOf(a, "eth0"), expect.AttachmentOf(b, "ens5")},
		"blue":    {expect.AttachmentOf(a, "net1"), expect.AttachmentOf(a, "data0"), expect.AttachmentOf(b, "net2")},
		"lonely":  {}, "stuck": {},
	}
	if e.Supports(thick.FeatureHotplug) {
		want["hot"] = []map[string]any{expect.AttachmentOf(a, "hot0")}
	}
	ginkgo.By("one stale container's delegate fails at DEL: nothing of it is valid for that")
	_ = expectFailed(expect.WaysOf(e)[0].Ask(ctx, expect.GcRequest(e, a, b)), "GC with a delegate that fails")
	expectGCCalls(e, want)

	ginkgo.By("again, through the shim")
	e.ResetCalls()
	delete(want, "lonely")
	expect.Served(expect.WaysOf(e)[1].Ask(ctx, expect.GcRequest(e, a, b)), "GC through the shim")
	expectGCCalls(e, want)
	Expect(e.Leftovers(stale[1])).To(BeEmpty(), "what the second GC left")
}

// gcNetworks are networks of CNI 1.1, which has GC, and one before it. The
// DEL of "stuck" fails once.
func gcNetworks(e *thick.Env) {
	ginkgo.GinkgoHelper()
	e.DefaultNetwork(expect.Versioned(e.FakeList("default", expect.RealInterface()), "1.1.0"))
	e.Definition("blue", expect.Versioned(e.FakeList("blue", expect.Numbered(expect.RealInterface(), script.Fake{})...), "1.1.0"))
	e.Definition("lonely", expect.Versioned(e.FakeList("lonely", expect.RealInterface()), "1.1.0"))
	e.Definition("stuck", expect.Versioned(e.FakeList("stuck", script.Fake{Del: script.FakeStep{Error: types.NewError(150, "the port is stuck", ""), Times: 1}}), "1.1.0"))
	e.Definition("old", e.FakeList("old", script.Fake{GC: script.FakeStep{Error: types.NewError(4, "GC is unknown to CNI 1.0", "")}}))
}

// expectGCCalls asserts on the GC of each network's plugins: once each, with
// the network's valid attachments, and with no sandbox. Networks that no
// container is on any more may get theirs or not.
func expectGCCalls(e *thick.Env, want map[string][]map[string]any) {
	ginkgo.GinkgoHelper()
	seen := map[string][]string{}
	for _, c := range e.CallsOf("GC") {
		Expect(want).To(HaveKey(c.Network), "GC of a network")
		seen[c.Network] = append(seen[c.Network], expect.PlaceOf(c))
		Expect([]string{c.ContainerID, c.Interface, c.Netns}).To(HaveEach(BeEmpty()), "the sandbox of a GC")
		config := c.Config()
		Expect(config).To(HaveKeyWithValue("cniVersion", "1.1.0"), "the configuration that the delegate got")
		Expect(config).To(HaveKey(expect.ValidKey), "the configuration of a GC of %s", c.Network)
		got := []any{}
		if config[expect.ValidKey] != nil {
			got = config[expect.ValidKey].([]any)
		}
		Expect(got).To(ConsistOf(want[c.Network]), "the valid attachments of %s", c.Network)
	}
	for network, valid := range want {
		switch {
		case network == "blue":
			Expect(seen[network]).To(Equal([]string{"blue  plugin 0", "blue  plugin 1"}), "GC of each plugin")
		case len(valid) > 0:
			Expect(seen[network]).To(HaveLen(1), "GC of %s", network)
		}
	}
}
