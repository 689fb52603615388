// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var twiceCases = []thick.Case{{
	ID: "ADD-17", Level: spec.Must, Source: "CNI", Body: twoInterfaces,
	Title: "A container that is attached twice, under two interface names, is two attachments: DEL, CHECK and GC of one leave the other",
}}

// twin is a sandbox's other attachment: the same container under another
// interface name.
type twin struct {
	e             *thick.Env
	first, second *node.Sandbox
}

// twoInterfaces is ADD-17.
func twoInterfaces(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	d := e.Start(ctx)
	s := e.Sandbox()
	other := *s
	other.IfName = "eth1"
	w := &twin{e, s, &other}
	defer w.deleteSecond() // the case's end knows of the first alone

	ginkgo.By("ADD as eth0, and as eth1")
	e.MustOK(e.Add(ctx, w.first))
	e.MustOK(e.Add(ctx, w.second))
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "eth1"), "interfaces of a container that was attached twice")
	w.checked(ctx, w.first)
	w.checked(ctx, w.second)

	ginkgo.By("DEL of eth1, and of an interface that the container never had")
	w.deleted(ctx, w.second, w.first)
	never := other
	never.IfName = "eth7"
	e.ResetCalls()
	e.MustOK(e.Del(ctx, &never))
	Expect(expect.Trace(e.CallsFor("DEL", s))).NotTo(ContainElement("default as eth0"), "DEL of eth7")
	w.checked(ctx, w.first)

	ginkgo.By("eth1 again, a restart, DEL of eth0")
	e.MustOK(e.Add(ctx, w.second))
	expect.Restarted(ctx, e, d)
	w.checked(ctx, w.first)
	w.deleted(ctx, w.first, w.second)

	if e.Supports(thick.FeatureGC) {
		w.collected(ctx)
	}
	ginkgo.By("DEL of what is left")
	e.MustOK(e.Del(ctx, w.first))
	e.MustOK(e.Del(ctx, w.second))
	Expect(e.Leftovers(s)).To(BeEmpty(), "what both DELs left")
}

// checked asserts that a CHECK succeeds and looks at this attachment alone.
func (w *twin) checked(ctx context.Context, at *node.Sandbox) {
	ginkgo.GinkgoHelper()
	w.e.ResetCalls()
	w.e.MustOK(w.e.Check(ctx, at))
	Expect(expect.Trace(w.e.CallsFor("CHECK", at))).To(Equal([]string{"default as " + at.IfName}), "the delegates' CHECKs of %s", at.IfName)
}

// deleted asserts that a DEL removes one attachment and leaves the other.
func (w *twin) deleted(ctx context.Context, at, stays *node.Sandbox) {
	ginkgo.GinkgoHelper()
	w.e.ResetCalls()
	w.e.MustOK(w.e.Del(ctx, at))
	w.gone(ctx, at, stays)
}

func (w *twin) gone(ctx context.Context, at, stays *node.Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(slices.Compact(expect.Trace(w.e.CallsFor("DEL", at)))).To(Equal([]string{"default as " + at.IfName}), "the delegates' DELs")
	Expect(at.InterfaceNames()).To(ConsistOf(stays.IfName), "interfaces after the DEL of %s", at.IfName)
	w.checked(ctx, stays)
}

// collected has GC told of one of both, and then of the other.
func (w *twin) collected(ctx context.Context) {
	ginkgo.GinkgoHelper()
	for _, stays := range []*node.Sandbox{w.second, w.first} {
		ginkgo.By("GC that names " + stays.IfName + " alone")
		at := w.first
		if stays == w.first {
			at = w.second
		}
		w.e.MustOK(w.e.Add(ctx, w.first)) // the one that is gone by now
		w.e.ResetCalls()
		expect.Served(expect.WaysOf(w.e)[0].Ask(ctx, expect.GcRequest(w.e, stays)), "GC")
		w.gone(ctx, at, stays)
	}
}

// deleteSecond asks for the DEL that the end of the case does not.
func (w *twin) deleteSecond() {
	ctx, cancel := context.WithTimeout(context.Background(), suite.Patience(5*time.Second))
	defer cancel()
	_, _ = w.e.TryPost(ctx, "/cni", w.e.Request("DEL", w.second))
}
