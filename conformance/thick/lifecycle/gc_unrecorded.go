// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var gcUnrecordedCases = []thick.Case{
	{ID: "GC-05", Level: spec.Must, Source: "CNI §2 GC", Needs: []spec.Feature{thick.FeatureGC}, Body: gcUnrecorded,
		Title: "The default network's delegates get all attachments that the runtime named valid, unrecorded ones included"},
	{ID: "GC-06", Level: spec.Should, Source: "containernetworking/cni#1101, #1103 of that repository", Needs: []spec.Feature{thick.FeatureGC}, Body: gcOlderKey,
		Title: "cni.dev/valid-attachments counts; the older key cni.dev/attachments changes nothing"},
}

// olderKey is the key of an older draft, which libcni sends beside the other.
const olderKey = "cni.dev/attachments"

// gcUnrecorded is GC-05: a sandbox that was attached before the daemon was
// installed is the runtime's, and its address is not free.
func gcUnrecorded(ctx context.Context, e *thick.Env) {
	gcNetworks(e)
	e.Start(ctx)
	before, recorded := e.Sandbox(), e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, recorded))
	for _, w := range expect.WaysOf(e) {
		ginkgo.By("through " + w.Name)
		e.ResetCalls()
		expect.Served(w.Ask(ctx, expect.GcRequest(e, before, recorded)), "GC")
		Expect(validAt(e, "default")).To(ConsistOf(expect.AttachmentOf(before, "eth0"), expect.AttachmentOf(recorded, "eth0")),
			"the valid attachments of the default network")
		if further := validAt(e, "blue"); further != nil {
			Expect(further).To(ContainElement(expect.AttachmentOf(recorded, "net1")), "the valid attachments of a further network")
		}
		Expect(e.CallsOf("DEL")).To(BeEmpty(), "DELs of what is valid")
	}
	e.MustOK(e.Check(ctx, recorded))
	e.MustOK(e.Del(ctx, recorded))
}

// validAt returns the valid attachments that the GC of a network's delegate got,
// nil when it got none.
func validAt(e *thick.Env, network string) []any {
	ginkgo.GinkgoHelper()
	for _, c := range e.CallsOf("GC") {
		if c.Network == network {
			valid, _ := c.Config()[expect.ValidKey].([]any)
			return append([]any{}, valid...)
		}
	}
	return nil
}

// gcOlderKey is GC-06, with an older key that says more, and then less, than the
// one that counts.
func gcOlderKey(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Start(ctx)
	kept, stale := e.Sandbox(), e.Sandbox()
	e.MustOK(e.Add(ctx, kept))
	e.MustOK(e.Add(ctx, stale))
	ask := func(older ...any) {
		ginkgo.GinkgoHelper()
		expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.WithKey(expect.GcRequest(e, kept), olderKey, older)), "GC")
		Expect(e.CallsFor("DEL", kept)).To(BeEmpty(), "DELs of what is valid")
	}
	ask(expect.AttachmentOf(kept, "eth0"), expect.AttachmentOf(stale, "eth0"))
	expect.Deleted(e, stale)
	ask(expect.AttachmentOf(stale, "eth0"))
	ask([]any{}...)
	e.MustOK(e.Check(ctx, kept))
	e.MustOK(e.Del(ctx, kept))
}
