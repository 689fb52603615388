// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var undeclaredCases = []thick.Case{
	{
		ID: "NET-18", Level: spec.Must, Source: "NPWG §4.1.2.1.3.2, .4.2, .7.2, .8.2, .10.2", Body: undeclaredRequests,
		Title: "What a selection asks for and no plugin of the network declares fails the ADD before any delegate runs",
	},
}

// requestsByCapability are requests under the annotation's keys, by the
// capability that a plugin has to declare for each.
var requestsByCapability = map[string]struct{ key, value string }{
	"ips":            {"ips", `["10.9.8.7/24"]`},
	"mac":            {"mac", `"02:11:22:33:44:55"`},
	"portMappings":   {"portMappings", `[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]`},
	"bandwidth":      {"bandwidth", `{"ingressRate":2048,"ingressBurst":1600}`},
	"infinibandGUID": {"infiniband-guid", `"c2:11:22:33:44:55:66:77"`},
}

// undeclaredRequests is NET-18. A daemon that leaves the request out lets the
// pod run with another address than it asked for.
func undeclaredRequests(ctx context.Context, e *thick.Env) {
	every := script.Fake{Capabilities: allDeclared()}
	e.DefaultNetwork(e.FakeList("default", every))
	e.Definition("able", e.FakeList("able", every))
	for _, capability := range slices.Sorted(maps.Keys(requestsByCapability)) {
		others := allDeclared()
		others[capability] = false
		name := strings.ToLower(capability)
		e.Definition("without-"+name, e.FakeList("without-"+name, script.Fake{Capabilities: others}, script.Fake{}))
		e.Definition("last-has-"+name, e.FakeList("last-has-"+name, script.Fake{Capabilities: others}, script.Fake{Capabilities: map[string]bool{capability: true}}))
	}
	e.Start(ctx)
	for _, capability := range slices.Sorted(maps.Keys(requestsByCapability)) {
		ginkgo.By(capability)
		request := requestsByCapability[capability]
		without, has := "without-"+strings.ToLower(capability), "last-has-"+strings.ToLower(capability)
		s := e.Sandbox(node.Networks(fmt.Sprintf(`[{"name":"able"},{"name":%q,%q:%s}]`, without, request.key, request.value)))
		err := expect.Refused(e.Add(ctx, s))
		Expect(e.CallsFor("ADD", s)).To(BeEmpty(), "delegates that ran although %s is not declared", capability)
		said := err.Msg + " " + err.Details
		Expect(said).To(ContainSubstring(without), "the error has to name the network")
		Expect(said).To(Or(ContainSubstring(capability), ContainSubstring(request.key)), "the error has to name the capability")
		expect.NothingLeft(e, s)

		declared := e.Sandbox(node.Networks(fmt.Sprintf(`[{"name":"able"},{"name":%q,%q:%s}]`, has, request.key, request.value)))
		e.MustOK(e.Add(ctx, declared))
		calls := e.CallsFor("ADD", declared)
		Expect(node.NetworksOf(calls)).To(Equal([]string{"default", "able", has, has}), "networks whose delegates were called")
		Expect(calls[3].Config()).To(HaveKeyWithValue("runtimeConfig", HaveKey(capability)), "the plugin that declares %s", capability)
		e.MustOK(e.Del(ctx, declared))
	}
}
