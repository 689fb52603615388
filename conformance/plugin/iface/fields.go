// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var fieldCases = []plugin.Case{
	{ID: "PLUG-26", Level: spec.Should, Source: "CNI §1, CONVENTIONS, cni#560, cni#126 †",
		Title: "Unknown fields are accepted, or refused with code 2 naming key and value; unknown args and CNI_ARGS are ignored; capability args that it declares are acted on or refused", Body: unknownFields},
}

func unknownFields(ctx context.Context, e *plugin.Env) {
	ginkgo.By("passing a field that nobody knows")
	a := e.Attach()
	answer := a.Add(ctx, plugin.Key(unknownKey, "of-no-use"))
	if !answer.OK() {
		said := answer.Error()
		Expect(said).NotTo(BeNil(), "the error of an ADD with an unknown field: %s", answer.String())
		Expect(said.Code).To(Equal(2), "the code of an ADD with an unknown field: %s", answer.String())
		Expect(said.Msg+said.Details).To(And(ContainSubstring(unknownKey), ContainSubstring("of-no-use")), "the error names key and value")
	}
	a.MustDel(ctx)

	ginkgo.By("passing args that nobody knows")
	b := e.Attach()
	b.MustAdd(ctx, plugin.Key("args", map[string]any{"cni": map[string]any{"example.org/unknown": []any{1}}, "example.org": true}))
	b.MustDel(ctx)

	ginkgo.By("passing CNI_ARGS that nobody knows")
	c := e.Attach()
	c.Args = "FOO=BAR"
	c.MustAdd(ctx)
	c.MustDel(ctx)

	if e.Target.Has(plugin.FeatureMAC) {
		capabilityMAC(ctx, e)
	}
	if e.Target.Has(plugin.FeatureIPs) {
		capabilityIPs(ctx, e)
	}
}

// declaring adds the capability arguments to an attachment's configuration.
func declaring(a *plugin.Attachment, name string, value any) {
	a.Config["capabilities"] = map[string]any{name: true}
	a.Config["runtimeConfig"] = map[string]any{name: value}
}

func capabilityMAC(ctx context.Context, e *plugin.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("passing the capability argument mac")
	const mac = "02:11:22:33:44:55"
	a := e.Attach()
	declaring(a, "mac", mac)
	if answer := a.Add(ctx); answer.OK() {
		for _, i := range a.Interfaces() {
			if i.Name == a.IfName {
				Expect(i.MAC).To(Equal(mac), "the MAC that runtimeConfig asks for")
			}
		}
	}
	a.MustDel(ctx)

	b := e.Attach()
	declaring(b, "mac", "no MAC at all")
	e.MustFail(b.Add(ctx), "ADD with a runtimeConfig.mac that cannot be")
	b.MustDel(ctx)
}

// capabilityIPs looks at what the IPAM plugin is told: it is the one to act on it.
func capabilityIPs(ctx context.Context, e *plugin.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("passing the capability argument ips")
	ips := []any{strings.Replace(e.Subnets[0], ".0/", ".77/", 1)}
	a := e.Attach()
	declaring(a, "ips", ips)
	answer := a.Add(ctx)
	if answer.OK() && e.Target.Has(plugin.FeatureIPAM) {
		calls := e.CallsFor("ADD", a.Sandbox)
		Expect(calls).NotTo(BeEmpty(), "executions of the IPAM plugin by ADD")
		Expect(calls[0].Config()).To(HaveKeyWithValue("runtimeConfig", HaveKeyWithValue("ips", ips)), "the IPAM plugin's configuration")
	} else if answer.OK() {
		have := ""
		for _, i := range a.Interfaces() {
			have += strings.Join(i.Addresses, " ") + " "
		}
		Expect(have).To(ContainSubstring(ips[0].(string)), "the address that runtimeConfig asks for")
	}
	a.MustDel(ctx)
}
