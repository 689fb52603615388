// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var capabilityCases = []runtime.Case{
	{ID: "RT-07", Level: spec.Must, Source: "CNI §3, CRIO#7217", Body: declaredAlone, Needs: []spec.Feature{runtime.FeatureCapabilities},
		Title: "runtimeConfig has exactly the capability args that the plugin declares as true and the runtime has"},
}

func declaredAlone(ctx context.Context, e *runtime.Env) {
	n := e.NewNetwork("p1", "p2", "p3", "p1")
	want := [][]string{{"portMappings"}, {"bandwidth"}, {}, {}}
	n.Plugins[0]["capabilities"] = map[string]any{"portMappings": true, "bandwidth": false}
	n.Plugins[1]["capabilities"] = map[string]any{"bandwidth": true}
	n.Plugins[3]["capabilities"] = map[string]any{"example.org/unknown": true, "portMappings": false}
	e.Write(n)
	a := e.Attach(n)
	a.Capabilities = given()
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Del(ctx, a))
	for _, command := range []string{"ADD", "DEL"} {
		calls := e.CallsOf(command, a)
		Expect(runtime.Types(calls)).To(HaveLen(len(want)), "executions with %s", command)
		for i, c := range calls {
			if command == "DEL" {
				i = len(calls) - 1 - i
			}
			Expect(keys(runtimeConfig(c))).To(Equal(want[i]), "the capability args that plugin %d, %s, got at %s", i+1, c.Type, command)
		}
	}
}
