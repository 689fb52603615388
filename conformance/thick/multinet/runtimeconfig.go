// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"encoding/json"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var runtimeconfigCases = []thick.Case{
	{
		ID: "NET-19", Level: spec.Must, Source: "NPWG §7.5", Body: runtimeConfigOfDefault,
		Title: "The runtime's runtimeConfig reaches the delegates of the default network and no other",
	},
}

// runtimeConfigOfDefault is NET-19. All networks declare what the runtime
// passes; one of them gets a value of its own by the pod's selection.
func runtimeConfigOfDefault(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	declares := script.Fake{Capabilities: map[string]bool{"portMappings": true, "bandwidth": true, "ipRanges": true}}
	e.DefaultNetwork(e.FakeList("default", declares, declares))
	e.Definition("further", e.FakeList("further", declares))
	e.Definition("asked", e.FakeList("asked", declares, declares))
	e.Start(ctx)
	s := e.Sandbox(node.Networks(`[{"name":"further"},{"name":"asked","bandwidth":{"egressRate":4096,"egressBurst":1600}}]`))
	given := map[string]any{
		"portMappings": []any{map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}},
		"bandwidth":    map[string]any{"ingressRate": 2048, "ingressBurst": 1600},
		"ipRanges":     []any{[]any{map[string]any{"subnet": "10.1.2.0/24"}}},
	}
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		ginkgo.By(command)
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, withGiven(e, command, s, given)))
		calls := e.CallsFor(command, s)
		Expect(node.NetworksOf(calls)).To(ConsistOf("default", "default", "further", "asked", "asked"), "networks whose delegates were called")
		for _, c := range calls {
			got, _ := c.Config()["runtimeConfig"].(map[string]any)
			switch c.Network {
			case "default":
				Expect(node.MustJSON(got)).To(MatchJSON(node.MustJSON(given)), "runtimeConfig of the default network at %s", command)
			case "further":
				Expect(got).To(BeEmpty(), "runtimeConfig of a network of which nothing was asked, at %s", command)
			case "asked":
				Expect(got).To(HaveLen(1), "runtimeConfig of a network that was asked for a bandwidth, at %s", command)
				Expect(got).To(HaveKeyWithValue("bandwidth", And(HaveKeyWithValue("egressRate", 4096.0), HaveKeyWithValue("egressBurst", 1600.0))), "the configuration that the delegate got")
				Expect(got["bandwidth"]).NotTo(HaveKeyWithValue("ingressRate", 2048.0), "the runtime's bandwidth at %s", command)
			}
		}
	}
}

// withGiven is a request for which the runtime passes a runtimeConfig.
func withGiven(e *thick.Env, command string, s *node.Sandbox, given map[string]any) *api.Request {
	ginkgo.GinkgoHelper()
	r := e.Request(command, s)
	var config map[string]any
	Expect(json.Unmarshal(r.Config, &config)).To(Succeed(), "JSON is expected here: %s", r.Config)
	config["runtimeConfig"] = given
	r.Config = node.MustJSON(config)
	return r
}
