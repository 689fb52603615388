// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var refusedCases = []plugin.Case{
	{ID: "PLUG-09", Level: spec.Must, Source: "CNI §2 ADD",
		Title: "ADD for an interface name that exists fails; interface, addresses, routes and leases stay as they were", Body: nameExists},
	{ID: "PLUG-10", Level: spec.Must, Source: "CNI §2",
		Title: "ADD without a namespace at CNI_NETNS fails and holds no address", Body: noNamespace},
	{ID: "PLUG-11", Level: spec.Should, Source: "plugins#714, cni#890 †",
		Title: "CNI_NETNS being the plugin's own namespace is refused before anything is done", Body: ownNamespace},
}

func nameExists(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	a.AddInterface(a.IfName)
	before := e.State(a.Sandbox)
	e.MustFail(a.Add(ctx), "ADD for an interface name that another program has taken")
	e.ExpectRestored(before, "what the ADD changed that found another's interface", a.Sandbox)

	b := e.Attach()
	b.MustAdd(ctx)
	before = e.State(b.Sandbox)
	leases := e.LeasesOf(b)
	result := b.Result
	e.MustFail(b.Add(ctx), "a second ADD of an attachment")
	e.ExpectRestored(before, "what the second ADD of an attachment changed", b.Sandbox)
	Expect(e.LeasesOf(b)).To(Equal(leases), "the attachment's addresses after a second ADD")
	b.Result = result
	b.MustDel(ctx)
}

func noNamespace(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	file := e.File("file", "")
	before := e.State(a.Sandbox)
	for what, path := range map[string]string{"nothing": e.Dir + "/missing", "a plain file": file} {
		e.MustFail(a.Add(ctx, plugin.Var("CNI_NETNS", path)), "ADD with "+what+" at CNI_NETNS")
		Expect(e.LeasesOf(a)).To(BeEmpty(), "addresses that an ADD with %s at CNI_NETNS holds", what)
		e.ExpectRestored(before, "what an ADD with "+what+" at CNI_NETNS left", a.Sandbox)
	}
}

func ownNamespace(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	before := e.State(a.Sandbox)
	// Process 1 is the case's init, which is in the same namespace as the plugin.
	e.MustFail(a.Add(ctx, plugin.Var("CNI_NETNS", "/proc/1/ns/net")), "ADD in the plugin's own namespace")
	e.ExpectUnchanged(before, "what an ADD in the plugin's own namespace changed", a.Sandbox)
	Expect(e.Calls()).To(BeEmpty(), "executions of the IPAM plugin by an ADD in the plugin's own namespace")
}
