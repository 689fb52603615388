// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func init() {
	register(Case{
		ID: "HOT-07", Profile: "hotplug", Level: Should, Source: "NPWG", Needs: []Feature{FeatureHotplug}, Body: hotStatusNames,
		Title: "A hot-plugged attachment is in the network status under the name that the pod's annotation has for it, until it is unplugged",
	})
}

// hotStatusNames is HOT-07. Who plugs networks by the annotation
// (multus-dynamic-networks-controller) compares it with the status, name for
// name: an element under another name is plugged again, which fails, and then
// unplugged.
func hotStatusNames(ctx context.Context, e *Env) {
	other := e.NewNamespace()
	e.Start(ctx)
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))

	ginkgo.By("the annotation asks for two, and they are plugged at once")
	e.WritePod(s, map[string]string{"k8s.v1.cni.cncf.io/networks": `[{"name":"hot","interface":"hot0"},{"name":"hot","namespace":"` + other + `","interface":"hot1"}]`})
	e.MustOK(e.hot(ctx, s, "ADD", "hot0", e.FakeList("inner-name", Fake{Add: FakeStep{Addresses: []string{"198.51.100.7/24"}}})))
	e.MustOK(e.hot(ctx, s, "ADD", "hot1", e.FakeList("inner-other")))
	Expect(statusNames(e, s)).To(Equal([]string{"default as eth0", e.Namespace + "/hot as hot0", other + "/hot as hot1"}))
	Expect(e.Status(s)[1]).To(HaveKeyWithValue("ips", []any{"198.51.100.7"}))

	ginkgo.By("one is unplugged")
	e.MustOK(e.hot(ctx, s, "DEL", "hot0", e.FakeList("inner-name")))
	Expect(statusNames(e, s)).To(Equal([]string{"default as eth0", other + "/hot as hot1"}))

	if e.Supports(FeatureKubernetes) {
		ginkgo.By("somebody else writes the status in another layout, and the sandbox goes")
		var flat bytes.Buffer
		Expect(json.Compact(&flat, mustJSON(e.Status(s)))).To(Succeed())
		e.api().setAnnotation(ctx, s, statusAnnotation, flat.String())
	}
	e.MustOK(e.Del(ctx, s))
	expectNoStatus(e, s, "the network status of a sandbox that is gone")
}

// statusNames is a sandbox's status as "name as interface".
func statusNames(e *Env, s *Sandbox) []string {
	ginkgo.GinkgoHelper()
	var names []string
	for _, element := range e.Status(s) {
		name, _ := element["name"].(string)
		ifName, _ := element["interface"].(string)
		names = append(names, name+" as "+ifName)
	}
	return names
}
