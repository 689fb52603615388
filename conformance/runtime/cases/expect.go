// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"encoding/json"
	"iter"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/fakes/script"
)

// The recording plugins in their order, and in DEL's.
var (
	forward  = []string{"p1", "p2", "p3"}
	backward = []string{"p3", "p2", "p1"}
)

// failure is what a plugin fails with; the words reach the caller.
const words = "the plugin's own words, 4711"

func failing(code uint) script.FakeStep {
	return script.FakeStep{Error: types.NewError(code, words, "")}
}

// life attaches and deletes a container, with a CHECK in between where the runtime
// has one, and returns each command with its executions of the three plugins.
func life(ctx context.Context, e *runtime.Env, a *runtime.Attachment) iter.Seq2[string, []script.Call] {
	ginkgo.GinkgoHelper()
	e.MustOK(e.Add(ctx, a))
	commands := []string{"ADD", "DEL"}
	if e.Has(runtime.FeatureCheck) {
		e.MustOK(e.Check(ctx, a))
		commands = append(commands, "CHECK")
	}
	e.MustOK(e.Del(ctx, a))
	return func(yield func(string, []script.Call) bool) {
		ginkgo.GinkgoHelper()
		for _, command := range commands {
			calls := e.CallsOf(command, a)
			Expect(runtime.Types(calls)).To(HaveLen(3), "executions with %s", command)
			if !yield(command, calls) {
				return
			}
		}
	}
}

// expectOrder asserts which plugins were executed, each after the end of the one
// before.
func expectOrder(calls []script.Call, want []string, what string) {
	ginkgo.GinkgoHelper()
	Expect(runtime.Types(calls)).To(Equal(want), "the plugins that were executed with %s", what)
	expectApart(calls, what)
}

// expectApart asserts that executions do not overlap.
func expectApart(calls []script.Call, what string) {
	ginkgo.GinkgoHelper()
	for i := 1; i < len(calls); i++ {
		before, c := calls[i-1], calls[i]
		Expect(before.End.IsZero()).To(BeFalse(), "%s: %s of %s did not end, and %s of %s began", what, before.Command, before.Type, c.Command, c.Type)
		Expect(c.Start).NotTo(BeTemporally("<", before.End), "%s: %s of %s (network %s) began before %s of %s (network %s) had ended",
			what, c.Command, c.Type, c.Network, before.Command, before.Type, before.Network)
	}
}

// expectFinal asserts that executions got the final result of ADD.
func expectFinal(calls []script.Call, what string) {
	ginkgo.GinkgoHelper()
	for _, c := range calls {
		Expect(runtime.Marks(c)).To(Equal(forward), "the plugins through which the prevResult of %s has come that %s got, %s", c.Command, c.Type, what)
	}
}

// expectNone asserts that no plugin was executed, but for STATUS, which a runtime
// may ask for at any time.
func expectNone(e *runtime.Env, what string) {
	ginkgo.GinkgoHelper()
	var lines []string
	for _, c := range e.Calls() {
		if c.Command != "STATUS" {
			lines = append(lines, c.Command+" of "+c.Type)
		}
	}
	Expect(lines).To(BeEmpty(), "plugins that were executed by %s", what)
}

// expectWhole asserts that the prevResult of an execution has what the plugins'
// results have: an interface of the container's, and an address.
func expectWhole(calls []script.Call) {
	ginkgo.GinkgoHelper()
	for _, c := range calls {
		var result struct {
			Interfaces []struct {
				Name string `json:"name"`
				Mac  string `json:"mac"`
			} `json:"interfaces"`
			IPs []struct {
				Address   string `json:"address"`
				Interface *int   `json:"interface"`
			} `json:"ips"`
		}
		Expect(json.Unmarshal(runtime.Fields(c)["prevResult"], &result)).To(Succeed(), "the prevResult that %s of %s got", c.Command, c.Type)
		Expect(result.Interfaces).To(HaveLen(1), "interfaces of the prevResult that %s of %s got", c.Command, c.Type)
		Expect(result.Interfaces[0].Name).To(Equal(c.Interface), "the interface of the prevResult that %s of %s got", c.Command, c.Type)
		Expect(result.Interfaces[0].Mac).NotTo(BeEmpty(), "the mac in the prevResult that %s of %s got", c.Command, c.Type)
		Expect(result.IPs).To(HaveLen(1), "addresses of the prevResult that %s of %s got", c.Command, c.Type)
		Expect(result.IPs[0].Interface).To(HaveValue(BeZero()), "the index of the address's interface in the prevResult that %s of %s got", c.Command, c.Type)
	}
}

// runtimeConfig are the keys of an execution's runtimeConfig.
func runtimeConfig(c script.Call) map[string]any {
	ginkgo.GinkgoHelper()
	raw := runtime.Fields(c)["runtimeConfig"]
	config := map[string]any{}
	if raw != nil {
		Expect(json.Unmarshal(raw, &config)).To(Succeed(), "the runtimeConfig that %s of %s got", c.Command, c.Type)
	}
	return config
}

func keys(m map[string]any) []string {
	all := []string{}
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// given are capability args that every runtime with capability args has.
func given() map[string]any {
	return map[string]any{
		"portMappings": []any{map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}},
		"bandwidth":    map[string]any{"ingressRate": 8000000, "ingressBurst": 8000000, "egressRate": 8000000, "egressBurst": 8000000},
	}
}
