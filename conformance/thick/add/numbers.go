// SPDX-License-Identifier: Apache-2.0

package add

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var numbersCases = []thick.Case{
	{
		ID: "ADD-16", Level: spec.Should, Source: "CNI §1", Body: addNumbersIntact,
		Title: "Numbers of a configuration and of cni-args reach the delegate as they were written, also beyond 2^53",
	},
}

// exactNumbers are numbers that a float64 cannot hold. The first one is 2^53+1.
func exactNumbers() map[string]json.Number {
	return map[string]json.Number{
		"vni": "9007199254740993", "below": "-9007199254740993", "cookie": "18446744073709551615",
		"id": "123456789012345678901234567890", "ratio": "0.12345678901234567890123",
	}
}

// addNumbersIntact is ADD-16, for the ways in which a number reaches a delegate.
func addNumbersIntact(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	numbered := script.Fake{Extra: map[string]any{"x-numbers": exactNumbers(), "x-deep": map[string]any{"list": []any{exactNumbers()}}}}
	made := numbered
	made.Add.Veth, made.Del.Veth = true, true
	single := e.Plugin(made)
	single["cniVersion"], single["name"] = "1.0.0", "single"
	// GC and STATUS came with 1.1.0.
	e.DefaultNetwork(strings.Replace(e.FakeList("default", numbered), `"cniVersion":"1.0.0"`, `"cniVersion":"1.1.0"`, 1))
	e.Definition("listed", e.FakeList("listed", numbered, numbered))
	e.Definition("single", string(node.MustJSON(single)))
	e.Start(ctx)
	args := string(node.MustJSON(exactNumbers()))
	s := e.Sandbox(node.Networks(`[{"name":"listed"},{"name":"single","cni-args":{"x-numbers":` + args + `}}]`))
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Check(ctx, s))
	if e.Supports(thick.FeatureHotplug) {
		r := expect.HotplugRequest(e, s, "ADD", e.FakeList("hot", numbered))
		r.Env["CNI_IFNAME"] = "hot0"
		r.InterfaceAttributes = &api.DelegateInterfaceAttributes{CNIArgs: &map[string]any{"x-numbers": exactNumbers()}}
		e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, r))
	}
	if e.Supports(thick.FeatureGC) {
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, expect.GcRequest(e, s)))
	}
	if e.Supports(thick.FeatureStatus) {
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, expect.StatusRequest(e)))
	}
	e.MustOK(e.Del(ctx, s))
	for _, c := range slices.Concat(e.CallsOf("GC"), e.CallsOf("STATUS")) {
		expectExactNumbers(c)
	}
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		ginkgo.By(command)
		calls := e.CallsFor(command, s)
		Expect(node.NetworksOf(calls)).To(ContainElements("default", "listed", "single"), "networks whose delegates were called")
		for _, c := range calls {
			expectExactNumbers(c)
		}
	}
}

// expectExactNumbers compares the digits that a delegate got with those that
// were written.
func expectExactNumbers(c script.Call) {
	ginkgo.GinkgoHelper()
	var got struct {
		Numbers map[string]json.Number `json:"x-numbers"`
		Deep    struct {
			List []map[string]json.Number `json:"list"`
		} `json:"x-deep"`
		Args struct {
			CNI struct {
				Numbers map[string]json.Number `json:"x-numbers"`
			} `json:"cni"`
		} `json:"args"`
	}
	dec := json.NewDecoder(bytes.NewReader(c.Stdin))
	dec.UseNumber()
	Expect(dec.Decode(&got)).To(Succeed())
	Expect(got.Numbers).To(Equal(exactNumbers()), "numbers of the configuration of %s at %s", c.Network, c.Command)
	Expect(got.Deep.List).To(Equal([]map[string]json.Number{exactNumbers()}), "nested numbers of the configuration of %s at %s", c.Network, c.Command)
	// cni-args are a sandbox's, and no affair of GC.
	if c.Command == "GC" {
		return
	}
	if c.Network == "single" || c.Network == "hot" {
		Expect(got.Args.CNI.Numbers).To(Equal(exactNumbers()), "numbers of cni-args of %s at %s", c.Network, c.Command)
	}
}
