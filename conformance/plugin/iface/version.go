// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var versionCases = []plugin.Case{
	{ID: "PLUG-01", Level: spec.Must, Source: "CNI §5", Once: true,
		Title: "VERSION needs no other variable and lists the supported versions as one JSON object", Body: versionAlone},
	{ID: "PLUG-02", Level: spec.Should, Source: "CNI §5 †", Once: true,
		Title: "VERSION answers in the cniVersion that it was asked in", Body: versionAsAsked},
	{ID: "PLUG-03", Level: spec.Must, Source: "CNI §5, aci-containers#369, plugins#24", Once: true,
		Title: "For each listed version the result of ADD has the configuration's cniVersion and that version's shape", Body: versionShapes},
	{ID: "PLUG-04", Level: spec.Must, Source: "CNI §5",
		Title: "A version that is not listed fails and nothing is done", Body: versionUnlisted},
}

// askVersion executes VERSION with a version in the configuration.
func askVersion(ctx context.Context, e *plugin.Env, version string) (answer plugin.Answer, said versionResult) {
	ginkgo.GinkgoHelper()
	answer = e.Execute(ctx, plugin.Request{Vars: map[string]string{"CNI_COMMAND": "VERSION"}, Stdin: fmt.Appendf(nil, `{"cniVersion":%q}`, version)})
	e.MustOK(answer)
	Expect(plugin.OneDocument(answer.Stdout)).To(Succeed(), "%s", answer.String())
	Expect(json.Unmarshal(answer.Stdout, &said)).To(Succeed(), "%s", answer.String())
	return answer, said
}

// versionResult is the version result of section 5.
type versionResult struct {
	CNIVersion string   `json:"cniVersion"`
	Supported  []string `json:"supportedVersions"`
}

func versionAlone(ctx context.Context, e *plugin.Env) {
	answer, said := askVersion(ctx, e, "1.0.0")
	Expect(said.CNIVersion).NotTo(BeEmpty(), "cniVersion of %s", answer.String())
	Expect(said.Supported).NotTo(BeEmpty(), "supportedVersions of %s", answer.String())
	for _, v := range said.Supported {
		Expect(v).To(MatchRegexp(`^\d+\.\d+\.\d+$`), "a supported version")
	}
}

func versionAsAsked(ctx context.Context, e *plugin.Env) {
	asked := e.Target.Versions()
	if len(asked) < 2 {
		e.Skipf("%s supports one version alone, and cannot but answer in it", e.Target.Name())
	}
	for _, v := range asked {
		_, said := askVersion(ctx, e, v)
		Expect(said.CNIVersion).To(Equal(v), "cniVersion of the answer to a VERSION in %s", v)
	}
}

func versionShapes(ctx context.Context, e *plugin.Env) {
	for _, v := range e.Target.Supported() {
		ginkgo.By("asking in " + v)
		e.Version = v
		a := e.Attach()
		r := a.MustAdd(ctx)
		Expect(r.CNIVersion).To(Equal(v), "cniVersion of %s", r.Raw)
		expectShape(r, v)
		a.MustDel(ctx)
	}
}

// expectShape asserts what the versions of results differ in.
func expectShape(r *plugin.Result, version string) {
	ginkgo.GinkgoHelper()
	if !plugin.AtLeast(version, "0.3.0") {
		for _, key := range []string{"interfaces", "ips", "routes"} {
			Expect(r.Fields).NotTo(HaveKey(key), "a result of %s has ip4, ip6 and dns: %s", version, r.Raw)
		}
		return
	}
	for _, key := range []string{"ip4", "ip6"} {
		Expect(r.Fields).NotTo(HaveKey(key), "a result of %s has interfaces and ips: %s", version, r.Raw)
	}
	Expect(r.Interfaces).NotTo(BeEmpty(), "interfaces of %s", r.Raw)
	for _, ip := range r.IPs {
		if plugin.AtLeast(version, "1.0.0") {
			Expect(ip.Version).To(BeEmpty(), "the addresses of %s have no version: %s", version, r.Raw)
		} else {
			Expect(ip.Version).To(BeElementOf("4", "6"), "the addresses of %s have a version: %s", version, r.Raw)
		}
	}
}

func versionUnlisted(ctx context.Context, e *plugin.Env) {
	for _, v := range []any{"9.9.9", "1.x", 1} {
		a := e.Attach()
		before := e.State(a.Sandbox)
		e.MustFail(a.Add(ctx, plugin.Key("cniVersion", v)), fmt.Sprintf("ADD in version %v", v))
		e.ExpectUnchanged(before, fmt.Sprintf("what an ADD in version %v changed", v), a.Sandbox)
	}
}
