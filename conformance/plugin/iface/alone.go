// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
)

func delAlone(ctx context.Context, e *plugin.Env) {
	e.UseRoutes()
	one, other := e.Attach(), e.Attach()
	one.MustAdd(ctx)
	other.MustAdd(ctx)
	delOfOther(ctx, e, one, other)

	second := again(ctx, e, one, other)
	kept := []*plugin.Attachment{other}
	if second != nil {
		otherSecond := e.AttachTo(other.Sandbox, "eth1")
		otherSecond.MustAdd(ctx)
		kept = append(kept, second, otherSecond)
	}
	before := e.State(one.Sandbox, other.Sandbox)
	one.MustDel(ctx)
	for _, line := range e.Changes(before, true, one.Sandbox, other.Sandbox) {
		Expect(strings.Fields(line)).NotTo(ContainElement("eth1"), "a change of an interface that was not deleted")
		Expect(line).NotTo(HavePrefix("in "+other.ID[:8]), "a change of another container")
	}
	expectAttached(e, kept...)
	Expect(one.InterfaceNames()).NotTo(ContainElement(one.IfName), "the interface that was deleted")
	for _, a := range kept {
		a.MustDel(ctx)
	}
}

// delOfOther deletes an interface that a container does not have, which is nothing
// to the one that it has. Whether that DEL succeeds is PLUG-13's.
func delOfOther(ctx context.Context, e *plugin.Env, one, other *plugin.Attachment) {
	ginkgo.GinkgoHelper()
	ginkgo.By("deleting an interface that a container does not have")
	never := e.AttachTo(one.Sandbox, "eth7")
	before := e.State(one.Sandbox, other.Sandbox)
	never.Del(ctx)
	for _, line := range e.Changes(before, true, one.Sandbox, other.Sandbox) {
		Expect(line).NotTo(HavePrefix("in "), "a change in a container by DEL of an interface that there is not")
	}
	expectAttached(e, one, other)
}

// again attaches a container a second time, to the same subnet or to another one.
// It returns nil for a plugin that refuses both: a runtime may ask for it ("a given
// container ID may be added to a specific network more than once", section 2), and
// no sentence has every plugin grant it. What it refuses, and the DEL that follows,
// are nothing to the containers' interfaces.
func again(ctx context.Context, e *plugin.Env, one, other *plugin.Attachment) *plugin.Attachment {
	ginkgo.GinkgoHelper()
	ginkgo.By("attaching a container a second time")
	var answer plugin.Answer
	for _, subnets := range [][]string{e.Subnets, {e.OtherSubnet()}} {
		e.UseSubnets(subnets...)
		second := e.AttachTo(one.Sandbox, "eth1")
		if answer = second.Add(ctx); answer.OK() {
			return second
		}
		e.MustFail(answer, "a second ADD of a container that does not succeed")
		second.Del(ctx)
	}
	e.Notef("a container cannot be attached twice, by eth0 and by eth1, and is judged by one interface: %s", answer.String())
	expectAttached(e, one, other)
	return nil
}

// expectAttached asserts that attachments have what their results say.
func expectAttached(e *plugin.Env, all ...*plugin.Attachment) {
	ginkgo.GinkgoHelper()
	for _, a := range all {
		Expect(a.InterfaceNames()).To(ContainElement(a.IfName), "interfaces of a container of which another attachment was deleted")
		expectInterfaces(a.Result, a)
		expectAddresses(a.Result, a)
		if e.Target.Has(plugin.FeatureIPAM) {
			Expect(e.LeasesOf(a)).NotTo(BeEmpty(), "the address of an attachment that was not deleted")
		}
	}
}
