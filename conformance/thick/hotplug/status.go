// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var statusCases = []thick.Case{
	{
		ID: "HOT-07", Level: spec.Should, Source: "NPWG", Needs: []spec.Feature{thick.FeatureHotplug}, Body: hotStatusNames,
		Title: "A hot-plugged attachment is in the network status under the name that the pod's annotation has for it, until it is unplugged",
	},
}

// hotStatusNames is HOT-07. Who plugs networks by the annotation
// (multus-dynamic-networks-controller) compares it with the status, name for
// name: an element under another name is plugged again, which fails, and then
// unplugged.
func hotStatusNames(ctx context.Context, e *thick.Env) {
	other := e.NewNamespace()
	e.Start(ctx)
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))

	ginkgo.By("the annotation asks for two, and they are plugged at once")
	e.WritePod(s, map[string]string{"k8s.v1.cni.cncf.io/networks": `[{"name":"hot","interface":"hot0"},{"name":"hot","namespace":"` + other + `","interface":"hot1"}]`})
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot0", e.FakeList("inner-name", script.Fake{Add: script.FakeStep{Addresses: []string{"198.51.100.7/24"}}})))
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot1", e.FakeList("inner-other")))
	expect.ShowsNames(e, s, "default as eth0", e.Namespace+"/hot as hot0", other+"/hot as hot1")
	Expect(e.Status(s)[1]).To(HaveKeyWithValue("ips", []any{"198.51.100.7"}), "element 1 of network-status")

	ginkgo.By("one is unplugged")
	e.MustOK(expect.Hotplug(ctx, e, s, "DEL", "hot0", e.FakeList("inner-name")))
	expect.ShowsNames(e, s, "default as eth0", other+"/hot as hot1")

	if e.Supports(thick.FeatureKubernetes) {
		ginkgo.By("somebody else writes the status in another layout, and the sandbox goes")
		var flat bytes.Buffer
		Expect(json.Compact(&flat, node.MustJSON(e.Status(s)))).To(Succeed())
		e.Api().SetAnnotation(ctx, s, kube.StatusAnnotation, flat.String())
	}
	e.MustOK(e.Del(ctx, s))
	expect.NoStatus(e, s, "the network status of a sandbox that is gone")
}
