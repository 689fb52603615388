// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// addInterfaceTaken is ADD-07.
func addInterfaceTaken(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("alpha", e.FakeList("alpha", expect.VethFake()))
	e.Definition("beta", e.FakeList("beta", expect.VethFake()))
	e.Start(ctx)
	for _, row := range []struct{ networks, present, taken string }{
		{networks: "alpha@same,beta@same", taken: "same"},
		{networks: "alpha@same,alpha@same", taken: "same"},
		{networks: "alpha@eth0", taken: "eth0"},
		{networks: "alpha@net2,beta", taken: "net2"},
		{networks: "alpha,beta@net1", taken: "net1"},
		{networks: `[{"name":"alpha","interface":"lan0"},{"name":"beta","interface":"lan0"}]`, taken: "lan0"},
		{networks: "alpha", present: "eth0", taken: "eth0"},
		{networks: "alpha,beta", present: "net2", taken: "net2"},
		{networks: "alpha,beta@lan0", present: "lan0", taken: "lan0"},
	} {
		ginkgo.By("networks " + row.networks + ", present " + row.present)
		expectTaken(ctx, e, row.networks, row.present, row.taken)
	}
}

func expectTaken(ctx context.Context, e *thick.Env, networks, present, taken string) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks(networks))
	if present != "" {
		s.AddInterface(present)
	}
	err := expect.Refused(e.Add(ctx, s))
	Expect(err.Error()).To(ContainSubstring(taken), "the error names the interface")
	Expect(expect.CallsOfSandbox(e, s)).To(BeEmpty(), "delegates that ran: %v", expect.Trace(expect.CallsOfSandbox(e, s)))
	if present == "" {
		expect.NothingLeft(e, s)
		return
	}
	Expect(s.InterfaceNames()).To(ConsistOf(present), "what was in the namespace before is not the daemon's to remove")
	s.DeleteInterface(present)
	expect.NothingLeft(e, s)
	e.MustOK(e.Add(ctx, s))
}

// addTwice is ADD-11, also for a daemon that has only its records to tell.
func addTwice(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("other", e.FakeList("other", expect.VethFake()))
	d := e.Start(ctx)
	s := e.Sandbox(node.Networks("other"))
	e.MustOK(e.Add(ctx, s))
	expect.Settled(e, s, 2)
	expectSecondRefused(ctx, e, s)
	if e.Supports(thick.FeatureRestart) {
		ginkgo.By("after a restart")
		d.Stop(ctx)
		e.Start(ctx)
		expectSecondRefused(ctx, e, s)
	}
	e.ResetCalls()
	e.MustOK(e.Del(ctx, s))
	Expect(expect.Trace(e.CallsFor("DEL", s))).To(Equal([]string{"other as net1", "default as eth0"}), "DEL of what the first ADD made")
	expect.NothingLeft(e, s)
}

func expectSecondRefused(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	interfaces, status := s.Interfaces(), e.Status(s)
	Expect(interfaces).To(HaveLen(2), "interfaces in the sandbox")
	e.ResetCalls()
	_ = expect.Refused(e.Add(ctx, s))
	Expect(e.CallsFor("ADD", s)).To(BeEmpty(), "ADD of what exists already")
	Expect(e.CallsFor("DEL", s)).To(BeEmpty(), "a rollback of what the first ADD made")
	Expect(s.Interfaces()).To(Equal(interfaces), "the sandbox's interfaces")
	Expect(e.Status(s)).To(Equal(status), "the pod's network status")
	e.MustOK(e.Check(ctx, s))
	Expect(expect.Trace(e.CallsFor("CHECK", s))).To(Equal([]string{"default as eth0", "other as net1"}), "CHECK of what the first ADD made")
}

// addPodUnknown is ADD-12.
func addPodUnknown(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	unknown := e.Sandbox(node.WithoutPod())
	ginkgo.By("a pod that does not exist")
	err := expect.Refused(e.Add(ctx, unknown))
	Expect(err.Error()).To(ContainSubstring(unknown.PodName), "the error names the pod")

	ginkgo.By("a pod of that name in another namespace")
	elsewhere := e.Sandbox()
	there := elsewhere.PodNamespace
	elsewhere.PodNamespace = "elsewhere"
	err = expect.Refused(e.Add(ctx, elsewhere))
	Expect(err.Error()).To(ContainSubstring(elsewhere.PodName), "the error names the pod")

	ginkgo.By("a pod that was made again under the same name")
	other := e.Sandbox()
	own := other.PodUID
	other.PodUID = "00000000-1111-2222-3333-444444444444"
	err = expect.Refused(e.Add(ctx, other))
	Expect(err.Error()).To(ContainSubstring(other.PodName), "the error names the pod")

	Expect(expect.Trace(expect.AttachmentCalls(e))).To(BeEmpty(), "delegates that ran")
	for _, s := range []*node.Sandbox{unknown, elsewhere, other} {
		expect.NothingLeft(e, s)
	}
	// It was the pod that the daemon objected to, and nothing stays of that.
	elsewhere.PodNamespace, other.PodUID = there, own
	e.MustOK(e.Add(ctx, elsewhere))
	e.MustOK(e.Add(ctx, other))
}

// addNetnsMissing is ADD-13.
func addNetnsMissing(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	s, removed := e.Sandbox(), e.Sandbox()
	removed.RemoveNetns()
	there := s.Netns
	for name, path := range map[string]string{
		"a path that does not exist":       filepath.Join(e.Dir, "no-such-netns"),
		"a regular file":                   e.File("netns-file", ""),
		"a directory":                      e.ConfDir,
		"a namespace that was there once":  removed.Netns,
		"the path of a process that ended": "/proc/2147483647/ns/net",
	} {
		ginkgo.By(name)
		s.Netns = path
		err := expect.Refused(e.Add(ctx, s))
		Expect(err.Code).To(BeElementOf(uint(3), uint(4)), "the code for %s: %v", name, err)
		Expect(expect.Trace(expect.AttachmentCalls(e))).To(BeEmpty(), "delegates that ran")
	}
	s.Netns = there
	expect.NothingLeft(e, s)
	e.MustOK(e.Add(ctx, s))
}
