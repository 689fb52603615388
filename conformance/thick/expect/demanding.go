// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"
	"encoding/json"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// DemandingNetworks are three networks whose delegates get all kinds of
// parameters: unknown fields, capabilities, and a list of several plugins.
func DemandingNetworks(e *thick.Env) {
	ginkgo.GinkgoHelper()
	odd := map[string]any{"x-vendor": map[string]any{"list": []any{1.5, "two", nil, false}, "text": "<&>"}}
	e.DefaultNetwork(e.FakeList("default", script.Fake{Extra: odd, Capabilities: map[string]bool{"portMappings": true}}))
	e.Definition("blue", e.FakeList("blue", Numbered(
		script.Fake{Extra: odd, Capabilities: map[string]bool{"mac": true, "ips": true}, Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true}},
		script.Fake{Capabilities: map[string]bool{"mac": true}}, script.Fake{Extra: odd})...))
	e.Definition("green", e.FakeList("green", RealInterface()))
}

// ReplaceNetworks makes every network another one, whose DEL fails: a daemon
// that looks at them now does the wrong thing, and is told so.
func ReplaceNetworks(e *thick.Env) {
	ginkgo.GinkgoHelper()
	wrong := script.Fake{Extra: map[string]any{"x-changed": true}, Del: script.FakeStep{Error: types.NewError(998, "DEL with another configuration than ADD's", "")}}
	e.DefaultNetwork(e.FakeList("default", wrong))
	e.Definition("blue", e.FakeList("other-blue", wrong))
	e.Definition("green", e.FakeList("green", wrong))
}

// AddDemanding attaches a sandbox to the demanding networks.
func AddDemanding(ctx context.Context, e *thick.Env) *node.Sandbox {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks(`[{"name":"blue","interface":"data0","mac":"02:00:00:00:0a:01","ips":["10.9.8.7/24"],` +
		`"cni-args":{"tier":"gold"}},{"name":"green"}]`))
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, WithHostPort(e, "ADD", s)))
	added := e.CallsFor("ADD", s)
	Expect(PlacesOf(added)).To(Equal([]string{"default eth0", "blue data0 plugin 0", "blue data0 plugin 1", "blue data0 plugin 2", "green net2"}), "delegates that were called at ADD, in order")
	for _, c := range added[:3] {
		Expect(c.Config()).To(HaveKey("runtimeConfig"), "the ADD of %s has parameters to repeat", PlaceOf(c))
	}
	return s
}

// WithHostPort is a request for which the runtime passes a host port.
func WithHostPort(e *thick.Env, command string, s *node.Sandbox) *api.Request {
	ginkgo.GinkgoHelper()
	r := e.Request(command, s)
	var config map[string]any
	Expect(json.Unmarshal(r.Config, &config)).To(Succeed(), "JSON is expected here: %s", r.Config)
	config["runtimeConfig"] = map[string]any{
		"portMappings": []any{map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}},
	}
	r.Config = node.MustJSON(config)
	return r
}

// ChainedResults makes the default network and "blue" lists of plugins that
// each have a result of their own, of which the last is the network's, and
// "green" a single one. It returns blue's and green's results.
func ChainedResults(e *thick.Env) (blue, green map[string]any) {
	ginkgo.GinkgoHelper()
	answering := func(result map[string]any) script.Fake { return script.Fake{Add: script.FakeStep{Result: result}} }
	e.DefaultNetwork(e.FakeList("default", Numbered(
		answering(FullResult("eth0", "02:00:00:00:01:01", "203.0.113.11/24")),
		answering(FullResult("eth0", "02:00:00:00:01:02", "203.0.113.12/24")))...))
	blue = FullResult("net1", "02:00:00:00:02:03", "203.0.113.23/24")
	e.Definition("blue", e.FakeList("blue", Numbered(
		answering(FullResult("net1", "02:00:00:00:02:01", "203.0.113.21/24")),
		answering(FullResult("net1", "02:00:00:00:02:02", "203.0.113.22/24")),
		answering(blue))...))
	green = FullResult("net2", "02:00:00:00:03:01", "203.0.113.31/24")
	e.Definition("green", e.FakeList("green", answering(green)))
	return blue, green
}
