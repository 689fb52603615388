// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// gcInvalidOnly is GC-01.
func gcInvalidOnly(ctx context.Context, e *Env) {
	e.DefaultNetwork(e.FakeList("default", realInterface()))
	e.Definition("blue", e.FakeList("blue", numbered(realInterface(), Fake{})...))
	e.Definition("green", e.FakeList("green", realInterface()))
	e.Start(ctx)
	kept := e.Sandbox(Networks("blue,green@data0,green"))
	e.MustOK(e.Add(ctx, kept))
	hotplugged(ctx, e, kept)
	for _, w := range e.ways() {
		ginkgo.By("one of four is named, through " + w.name)
		stale := []*Sandbox{e.Sandbox(Networks("blue,green")), e.Sandbox(Networks("green@x0,blue")), e.Sandbox(Networks("blue"))}
		for _, s := range stale {
			e.MustOK(e.Add(ctx, s))
		}
		hotplugged(ctx, e, stale[0])
		stale[2].RemoveNetns()
		before := stateOf(e, kept).of(kept)
		expectServed(w.ask(ctx, gcRequest(e, kept)), "GC")
		for _, s := range stale {
			expectDeleted(e, s)
			expectNoOverlap(e.CallsFor("DEL", s))
			expectNoStatus(e, s, "the network status of a container that GC deleted")
		}
		expectUntouched(ctx, e, kept, before)
	}

	ginkgo.By("another one is named, by a runtime that has the spec's key only")
	another := e.Sandbox(Networks("blue"))
	e.MustOK(e.Add(ctx, another))
	valid := []any{attachmentOf(another, another.IfName)}
	expectServed(e.ways()[0].ask(ctx, withKey(nodeRequest(e, e.nobody(), "GC"), validKey, valid)), "GC")
	expectDeleted(e, kept)
	Expect(placesOf(e.CallsFor("DEL", another))).To(BeEmpty(), "DEL of what GC must keep")

	ginkgo.By("none is named")
	expectServed(e.ways()[0].ask(ctx, gcRequest(e)), "GC")
	expectDeleted(e, another)
}

// hotplugged attaches hot0 to a sandbox, where the target can do that.
func hotplugged(ctx context.Context, e *Env, s *Sandbox) {
	ginkgo.GinkgoHelper()
	if e.Supports(FeatureHotplug) {
		e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, hotplugRequest(e, s, "ADD", e.FakeList("hot", realInterface()))))
	}
}

// of keeps the files that name a sandbox: others come and go with theirs.
func (s state) of(sandbox *Sandbox) state {
	ginkgo.GinkgoHelper()
	naming := sandbox.env.FilesNaming(sandbox.ID)
	for path := range s.Files {
		if !slices.Contains(naming, path) {
			delete(s.Files, path)
		}
	}
	Expect(s.Files).NotTo(BeEmpty(), "the target keeps something of an attached container")
	return s
}

// expectUntouched asserts that a sandbox is as it was before GC, that no
// delegate was told otherwise, and that CHECK finds all of its attachments.
func expectUntouched(ctx context.Context, e *Env, s *Sandbox, before state) {
	ginkgo.GinkgoHelper()
	Expect(placesOf(e.CallsFor("DEL", s))).To(BeEmpty(), "DEL of what GC must keep")
	Expect(stateOf(e, s).of(s)).To(Equal(before), "what GC must keep")
	expectChecked(ctx, e, s, e.Request("CHECK", s))
}

// gcDelegates is GC-02.
func gcDelegates(ctx context.Context, e *Env) {
	gcNetworks(e)
	e.Start(ctx)
	a, b := e.Sandbox(Networks("blue,blue@data0,old")), e.Sandbox(Networks("old,blue"))
	b.IfName = "ens5"
	stale := []*Sandbox{e.Sandbox(Networks("blue,lonely")), e.Sandbox(Networks("blue,stuck"))}
	for _, s := range append(stale, a, b) {
		e.MustOK(e.Add(ctx, s))
	}
	if e.Supports(FeatureHotplug) {
		e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, hotplugRequest(e, a, "ADD", versioned(e.FakeList("hot"), "1.1.0"))))
	}
	want := map[string][]map[string]any{
		"default": {attachmentOf(a, "eth0"), attachmentOf(b, "ens5")},
		"blue":    {attachmentOf(a, "net1"), attachmentOf(a, "data0"), attachmentOf(b, "net2")},
		"lonely":  {}, "stuck": {},
	}
	if e.Supports(FeatureHotplug) {
		want["hot"] = []map[string]any{attachmentOf(a, "hot0")}
	}
	ginkgo.By("one stale container's delegate fails at DEL: nothing of it is valid for that")
	_ = expectFailed(e.ways()[0].ask(ctx, gcRequest(e, a, b)), "GC with a delegate that fails")
	expectGCCalls(e, want)

	ginkgo.By("again, through the shim")
	e.ResetCalls()
	delete(want, "lonely")
	expectServed(e.ways()[1].ask(ctx, gcRequest(e, a, b)), "GC through the shim")
	expectGCCalls(e, want)
	Expect(e.Leftovers(stale[1])).To(BeEmpty(), "what the second GC left")
}

// gcNetworks are networks of CNI 1.1, which has GC, and one before it. The
// DEL of "stuck" fails once.
func gcNetworks(e *Env) {
	ginkgo.GinkgoHelper()
	e.DefaultNetwork(versioned(e.FakeList("default", realInterface()), "1.1.0"))
	e.Definition("blue", versioned(e.FakeList("blue", numbered(realInterface(), Fake{})...), "1.1.0"))
	e.Definition("lonely", versioned(e.FakeList("lonely", realInterface()), "1.1.0"))
	e.Definition("stuck", versioned(e.FakeList("stuck", Fake{Del: FakeStep{Error: types.NewError(150, "the port is stuck", ""), Times: 1}}), "1.1.0"))
	e.Definition("old", e.FakeList("old", Fake{GC: FakeStep{Error: types.NewError(4, "GC is unknown to CNI 1.0", "")}}))
}

// expectGCCalls asserts on the GC of each network's plugins: once each, with
// the network's valid attachments, and with no sandbox. Networks that no
// container is on any more may get theirs or not.
func expectGCCalls(e *Env, want map[string][]map[string]any) {
	ginkgo.GinkgoHelper()
	seen := map[string][]string{}
	for _, c := range e.CallsOf("GC") {
		Expect(want).To(HaveKey(c.Network), "GC of a network")
		seen[c.Network] = append(seen[c.Network], placeOf(c))
		Expect([]string{c.ContainerID, c.Interface, c.Netns}).To(HaveEach(BeEmpty()), "the sandbox of a GC")
		config := c.Config()
		Expect(config).To(HaveKeyWithValue("cniVersion", "1.1.0"))
		Expect(config).To(HaveKey(validKey), "the configuration of a GC of %s", c.Network)
		got := []any{}
		if config[validKey] != nil {
			got = config[validKey].([]any)
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
