// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"net/netip"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var resultCases = []plugin.Case{
	{ID: "IPAM-01", Level: spec.Must, Source: "CNI §5",
		Title: "The result has ips in CIDR notation and neither interfaces nor interface in ips", Body: resultForm},
}

func resultForm(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	r := a.MustAdd(ctx)
	Expect(r.CNIVersion).To(Equal(e.Version), "cniVersion of %s", r.Raw)
	Expect(r.Fields).NotTo(HaveKey("interfaces"), "%s", r.Raw)
	Expect(r.IPs).NotTo(BeEmpty(), "ips of %s", r.Raw)
	for _, ip := range r.IPs {
		_, err := netip.ParsePrefix(ip.Address)
		Expect(err).NotTo(HaveOccurred(), "an address of %s", r.Raw)
		Expect(ip.Interface).To(BeNil(), "interface in ips of %s", r.Raw)
	}
}
