// SPDX-License-Identifier: Apache-2.0

package hotplug

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

// hotAttached starts a daemon and attaches a sandbox to its networks and then,
// while it runs, to "hot" as hot0 and "moody" as hot1, whose CHECK fails once.
func hotAttached(ctx context.Context, e *thick.Env, moody *types.Error) (*thick.Daemon, *node.Sandbox) {
	ginkgo.GinkgoHelper()
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	d := e.Start(ctx)
	s := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, s))
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot0", e.FakeList("hot", expect.Numbered(expect.RealInterface(), script.Fake{})...)))
	check := script.FakeStep{Error: moody, Times: 1}
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot1", e.FakeList("moody", script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true}, Check: check})))
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot0", "hot1"), "interfaces in the sandbox")
	expect.Settled(e, s, 4)
	return d, s
}

// hotBelongsToSandbox is HOT-04.
func hotBelongsToSandbox(ctx context.Context, e *thick.Env) {
	lost := types.NewError(232, "hot1 is down", "carrier lost")
	_, s := hotAttached(ctx, e, lost)
	ginkgo.By("CHECK")
	expect.CheckFails(ctx, e, s, lost)
	expect.Checked(ctx, e, s, e.Request("CHECK", s))
	expectAttachments(ctx, e, s, "default eth0", "blue net1", "hot hot0 plugin 0", "hot hot0 plugin 1", "moody hot1")
	if e.Supports(thick.FeatureGC) {
		ginkgo.By("GC")
		before := expect.StateOf(e, s)
		expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.GcRequest(e, s)), "GC")
		expect.Untouched(ctx, e, s, before)
		Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot0", "hot1"), "interfaces in the sandbox")
	}
	ginkgo.By("DEL")
	e.MustOK(e.Del(ctx, s))
	Expect(expect.PlacesOf(e.CallsFor("DEL", s))).To(Equal([]string{"moody hot1", "hot hot0 plugin 1", "hot hot0 plugin 0", "blue net1", "default eth0"}), "delegates that were called at DEL, in order")
	expect.Deleted(e, s)
	for _, c := range e.CallsFor("DEL", s) {
		Expect(c.Config()).To(HaveKeyWithValue("prevResult", Not(BeNil())), "DEL of %s", expect.PlaceOf(c))
	}
	if e.Supports(thick.FeatureGC) {
		hotDuringGC(ctx, e)
	}
}

// hotRefused is HOT-05.
func hotRefused(ctx context.Context, e *thick.Env) {
	_, s := hotAttached(ctx, e, types.NewError(100, "not now", ""))
	never, deleted, gone := e.Sandbox(), e.Sandbox(), e.Sandbox()
	for _, sandbox := range []*node.Sandbox{deleted, gone} {
		e.MustOK(e.Add(ctx, sandbox))
	}
	e.MustOK(e.Del(ctx, deleted))
	e.DeletePod(gone)
	s.AddInterface("dummy0")
	defer s.DeleteInterface("dummy0")
	as := func(change func(*node.Sandbox)) *node.Sandbox {
		changed := *s
		change(&changed)
		return &changed
	}
	for what, r := range map[string]*api.Request{
		"the default network's interface":         hotAddRequest(e, s, "eth0"),
		"a further network's interface":           hotAddRequest(e, s, "net1"),
		"a hot-plugged interface":                 hotAddRequest(e, s, "hot0"),
		"an interface that only the kernel has":   hotAddRequest(e, s, "dummy0"),
		"the loopback interface":                  hotAddRequest(e, s, "lo"),
		"a sandbox that was never added":          hotAddRequest(e, never, "hot9"),
		"a sandbox that was deleted":              hotAddRequest(e, deleted, "hot9"),
		"a sandbox that nobody has made":          hotAddRequest(e, as(func(c *node.Sandbox) { c.ID = node.RandomHex(32) }), "hot9"),
		"a pod that never was":                    hotAddRequest(e, as(func(c *node.Sandbox) { c.PodName = "nobody" }), "hot9"),
		"a pod of another namespace":              hotAddRequest(e, as(func(c *node.Sandbox) { c.PodNamespace = "elsewhere" }), "hot9"),
		"another pod of the same name":            hotAddRequest(e, as(func(c *node.Sandbox) { c.PodUID = "00000000-0000-0000-0000-000000000001" }), "hot9"),
		"a network namespace that does not exist": hotAddRequest(e, as(func(c *node.Sandbox) { c.Netns += "-not" }), "hot9"),
	} {
		ginkgo.By(what)
		before := expect.StateOf(e, s)
		e.ResetCalls()
		a := e.Post(ctx, api.MultusDelegateAPIEndpoint, r)
		Expect(a.OK()).To(BeFalse(), "%s: the hot-plug was answered with %s", what, a)
		_ = expect.CNIError(a)
		Expect(expect.Trace(expect.AttachmentCalls(e))).To(BeEmpty(), "%s: delegates that ran", what)
		Expect(expect.StateOf(e, s)).To(Equal(before), "%s: the daemon's files and the sandbox", what)
	}
	Expect(e.Leftovers(never)).To(BeEmpty(), "what is left of a sandbox that was never added")
	ginkgo.By("a pod that is gone, once the daemon has heard of it")
	Eventually(func() []string {
		e.ResetCalls()
		_ = expect.CNIError(e.Post(ctx, api.MultusDelegateAPIEndpoint, hotAddRequest(e, gone, "hot9")))
		return expect.Trace(expect.AttachmentCalls(e))
	}).WithContext(ctx).WithTimeout(thick.FollowLimit).Should(BeEmpty(), "delegates that ran for a pod that is gone")
	e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, hotAddRequest(e, s, "hot9")))
}

// hotAddRequest is a hot-plug that would succeed, were it not for the
// interface or the sandbox.
func hotAddRequest(e *thick.Env, s *node.Sandbox, ifName string) *api.Request {
	ginkgo.GinkgoHelper()
	r := expect.HotplugRequest(e, s, "ADD", e.FakeList("late", script.Fake{}))
	r.Env["CNI_IFNAME"] = ifName
	return r
}

// hotSurvives is HOT-06.
func hotSurvives(ctx context.Context, e *thick.Env) {
	d, s := hotAttached(ctx, e, nil)
	hot := e.FakeList("hot", expect.Numbered(expect.RealInterface(), script.Fake{})...)
	deletes := deletesHotPlugged(ctx, e)
	interfaces := s.Interfaces()
	checked := expect.Hotplug(ctx, e, s, "CHECK", "hot0", hot).OK() // that it works at all is HOT-03's
	all := []string{"default eth0", "blue net1", "hot hot0 plugin 0", "hot hot0 plugin 1", "moody hot1"}
	ends := map[string]func(*thick.Daemon){"stopped": func(d *thick.Daemon) { d.Stop(ctx) }}
	if e.Supports(thick.FeatureKill) {
		ends["killed"] = func(d *thick.Daemon) { d.Kill() }
	}
	for how, end := range ends {
		ginkgo.By("the daemon is " + how)
		end(d)
		d = e.Start(ctx)
		Expect(s.Interfaces()).To(Equal(interfaces), "interfaces after the restart")
		expectAttachments(ctx, e, s, all...)
		if checked {
			e.MustOK(expect.Hotplug(ctx, e, s, "CHECK", "hot0", hot))
		}
		_ = expect.Refused(expect.Hotplug(ctx, e, s, "ADD", "hot1", e.FakeList("late")))
		Expect(expect.PlacesOf(e.CallsFor("DEL", s))).To(BeEmpty(), "DEL of what must survive")
	}
	ginkgo.By("DEL of one, another restart, DEL of the sandbox")
	e.MustOK(expect.Hotplug(ctx, e, s, "DEL", "hot0", hot))
	Expect(expect.PlacesOf(e.CallsFor("DEL", s))).To(Equal([]string{"hot hot0 plugin 1", "hot hot0 plugin 0"}), "delegates that were called at DEL, in order")
	for _, c := range e.CallsFor("DEL", s) {
		Expect(c.Config()["prevResult"]).NotTo(BeNil(), "prevResult of the ADD before the restart at DEL of %s", expect.PlaceOf(c))
	}
	d.Stop(ctx)
	e.Start(ctx)
	expectAttachments(ctx, e, s, "default eth0", "blue net1", "moody hot1")
	e.MustOK(e.Del(ctx, s))
	deleted := e.CallsFor("DEL", s)
	if !deletes {
		e.AllowLeftovers("a hot-plugged attachment that the sandbox's DEL leaves")
		return
	}
	Expect(expect.PlacesOf(deleted[2:])).To(Equal([]string{"moody hot1", "blue net1", "default eth0"}), "delegates that were called at DEL, in order")
	expect.ParametersOfAdd(e, s, deleted)
	Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
}

// deletesHotPlugged says whether the DEL of a sandbox reaches what was
// hot-plugged, with no restart between. That it does is HOT-04's.
func deletesHotPlugged(ctx context.Context, e *thick.Env) bool {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot0", e.FakeList("hot")))
	e.MustOK(e.Del(ctx, s))
	return len(e.CallsFor("DEL", s)) == 2
}
