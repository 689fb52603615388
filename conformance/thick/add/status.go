// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var statusCases = []thick.Case{{
	ID: "ADD-18", Level: spec.Should, Source: "NPWG §5", Body: statusOfWhatIsGone,
	Title: "After an ADD that failed, a GC or a DEL, network-status shows nothing of what is gone",
}}

// statusOfWhatIsGone is ADD-18. Each way begins with a status that is there, or
// could be: that of the attachments before the one that fails.
func statusOfWhatIsGone(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("one", e.FakeList("one", expect.VethFake()))
	e.Definition("bad", e.FakeList("bad", script.Fake{Add: script.FakeStep{Error: types.NewError(142, "pool blue is empty", "")}}))
	hanging := expect.VethFake()
	hanging.Add.Hang, hanging.Add.Child, hanging.Add.Times = true, true, 1
	e.Definition("hanging", e.FakeList("hanging", hanging))
	e.Start(ctx)

	ginkgo.By("an ADD whose last delegate fails")
	s := e.Sandbox(node.Networks("one,bad"))
	_ = expect.Refused(e.Add(ctx, s))
	expect.NoStatus(e, s, "the network status of an ADD that failed")

	ginkgo.By("an ADD that no delegate ran for")
	s = e.Sandbox(node.Networks("one,nowhere"))
	_ = expect.Refused(e.Add(ctx, s))
	expect.NoStatus(e, s, "the network status of an ADD that was refused")

	ginkgo.By("an ADD whose client left")
	s = e.Sandbox(node.Networks("one,hanging"))
	leaveDuring(ctx, e, s, "hanging")
	e.AwaitCalls(ctx, 1, func(c script.Call) bool { return expect.CallOf(s, "DEL", "default")(c) && !c.End.IsZero() })
	expect.NoStatus(e, s, "the network status of an ADD whose client left")

	ginkgo.By("DEL")
	s = attachedWithStatus(ctx, e)
	e.MustOK(e.Del(ctx, s))
	expect.NoStatus(e, s, "the network status of a sandbox that was deleted")

	if e.Supports(thick.FeatureGC) {
		ginkgo.By("GC")
		s, kept := attachedWithStatus(ctx, e), attachedWithStatus(ctx, e)
		expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.GcRequest(e, kept)), "GC")
		expect.NoStatus(e, s, "the network status of a sandbox that GC deleted")
		Expect(e.Status(kept)).To(HaveLen(2), "the network status of a sandbox that GC was told to keep")
	}
}

// attachedWithStatus is a sandbox whose pod shows its two networks.
func attachedWithStatus(ctx context.Context, e *thick.Env) *node.Sandbox {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks("one"))
	e.MustOK(e.Add(ctx, s))
	expect.Published(e, s, 2)
	return s
}
