// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"os"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var delCases = []plugin.Case{
	{ID: "PLUG-12", Level: spec.Must, Source: "CNI §2 DEL",
		Title: "After DEL namespace and host are as before ADD: links, addresses, routes, rules, leases, files", Body: delRestores},
	{ID: "PLUG-13", Level: spec.Must, Source: "CNI §2 DEL, plugins#1282, cilium#5298, aws#750",
		Title: "DEL again, of what was never added, after the interface vanished, and without prevResult succeeds", Body: delOfNothing},
	{ID: "PLUG-14", Level: spec.Must, Source: "CNI §2 DEL, plugins#685, sriov-cni#164, cilium#40843",
		Title: "DEL with CNI_NETNS unset, empty or gone succeeds and releases the address", Body: delWithoutNamespace},
	{ID: "PLUG-15", Level: spec.Should, Source: "CNI §2 DEL, nerdctl#1872, CRIO#438",
		Title: "The same when CNI_NETNS is a file but not a namespace; and host resources (masquerade rules, links) go too", Body: delWithFile},
	{ID: "PLUG-16", Level: spec.Must, Source: "CNI §2 DEL",
		Title: "DEL touches no other attachment, neither of the same container nor of others", Body: delAlone},
}

func delRestores(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	before := e.State(a.Sandbox)
	a.MustAdd(ctx)
	Expect(e.Changes(before, false, a.Sandbox)).NotTo(BeEmpty(), "what ADD changed in the namespace or on the host")
	a.MustDel(ctx)
	e.ExpectRestored(before, "what ADD and DEL leave", a.Sandbox)
	Expect(e.LeasesOf(a)).To(BeEmpty(), "addresses that the IPAM plugin did not get back")
	Expect(e.Processes()).To(BeEmpty(), "processes that the plugin left running")
}

func delOfNothing(ctx context.Context, e *plugin.Env) {
	ginkgo.By("deleting again")
	a := e.Attach()
	a.MustAdd(ctx)
	a.MustDel(ctx)
	a.MustDel(ctx)
	a.MustDel(ctx, plugin.NoPrevResult())

	ginkgo.By("deleting what was never added")
	e.Attach().MustDel(ctx)

	ginkgo.By("deleting after the interface vanished")
	b := e.Attach()
	b.MustAdd(ctx)
	b.DeleteInterface(b.IfName)
	b.MustDel(ctx)
	Expect(e.LeasesOf(b)).To(BeEmpty(), "addresses that are held after the interface vanished")

	ginkgo.By("deleting without prevResult")
	c := e.Attach()
	before := e.State(c.Sandbox)
	c.MustAdd(ctx)
	c.MustDel(ctx, plugin.NoPrevResult())
	Expect(c.InterfaceNames()).NotTo(ContainElement(c.IfName), "after a DEL without prevResult")
	Expect(e.LeasesOf(c)).To(BeEmpty(), "addresses that are held after a DEL without prevResult")
	e.ExpectRestored(before, "what a DEL without prevResult left", c.Sandbox)
}

func delWithoutNamespace(ctx context.Context, e *plugin.Env) {
	ways := map[string]plugin.Option{"unset": plugin.NoVar("CNI_NETNS"), "empty": plugin.Var("CNI_NETNS", ""), "gone": nil}
	// No ADD follows a DEL: an address that is released may still be in use by the
	// interface, which a DEL without a namespace cannot remove, and which the kernel
	// removes some time after its namespace.
	attached := map[string]*plugin.Attachment{}
	for what := range ways {
		attached[what] = e.Attach()
		attached[what].MustAdd(ctx)
	}
	for what, option := range ways {
		ginkgo.By("deleting with CNI_NETNS " + what)
		a := attached[what]
		if option == nil {
			a.RemoveNetns()
			a.MustDel(ctx)
		} else {
			a.MustDel(ctx, option)
		}
		Expect(e.LeasesOf(a)).To(BeEmpty(), "addresses that are held after a DEL with CNI_NETNS %s", what)
	}
}

func delWithFile(ctx context.Context, e *plugin.Env) {
	var variants []string
	if e.Target.HasVariant("masquerade") {
		variants = []string{"masquerade"}
	}
	file, nothing := e.Attach(variants...), e.Attach(variants...)
	before := e.State()
	file.MustAdd(ctx)
	beforeSecond := e.State()
	nothing.MustAdd(ctx) // before the first DEL, as in PLUG-14
	delWithout(ctx, e, nothing, "nothing", beforeSecond)
	delWithout(ctx, e, file, "a plain file", before)
}

// delWithout deletes an attachment whose namespace is gone, and asserts that the host
// is as before.
func delWithout(ctx context.Context, e *plugin.Env, a *plugin.Attachment, what string, before plugin.State) {
	ginkgo.GinkgoHelper()
	ginkgo.By("deleting with " + what + " at CNI_NETNS")
	a.RemoveNetns()
	if what != "nothing" {
		Expect(os.WriteFile(a.Netns, nil, 0o600)).To(Succeed())
	}
	a.MustDel(ctx)
	Expect(e.LeasesOf(a)).To(BeEmpty(), "addresses that are held after a DEL with %s at CNI_NETNS", what)
	e.ExpectRestored(before, "what a DEL with "+what+" at CNI_NETNS left on the host")
}
