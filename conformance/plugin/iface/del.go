// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var delCases = []plugin.Case{
	{ID: "PLUG-12", Level: spec.Must, Source: "CNI §2 DEL",
		Title: "After DEL namespace and host are as before ADD: links, addresses, routes, rules, leases, files", Body: delRestores},
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
