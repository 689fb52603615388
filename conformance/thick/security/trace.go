// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var traceCases = []thick.Case{
	{
		ID: "SEC-05", Level: spec.Should, Source: "containernetworking/cni#1173", Needs: []spec.Feature{thick.FeatureTrace}, Body: traceReachesDelegates,
		Title: "The runtime's trace context (TRACEPARENT, TRACESTATE, BAGGAGE) reaches the delegates through shim and daemon; malformed values do not",
	},
}

const (
	parentVariable  = "TRACEPARENT"
	stateVariable   = "TRACESTATE"
	baggageVariable = "BAGGAGE"
)

// traceOf is the trace context of one request of a runtime.
type traceOf struct{ id, state, baggage string }

func newTrace() traceOf {
	return traceOf{id: node.RandomHex(16), state: "conformance=" + node.RandomHex(6), baggage: "request=" + node.RandomHex(6) + ",who=the%20suite"}
}

func (t traceOf) variables() map[string]string {
	return map[string]string{parentVariable: "00-" + t.id + "-" + node.RandomHex(8) + "-01", stateVariable: t.state, baggageVariable: t.baggage}
}

// traced is a request's variables with more.
func traced(r *api.Request, variables map[string]string) *api.Request {
	maps.Copy(r.Env, variables)
	return r
}

// byShim has the shim's environment as a runtime with this trace makes it.
func byShim(variables map[string]string) thick.ShimOption {
	return thick.ShimEnv(func(env map[string]string) { maps.Copy(env, variables) })
}

// traceReachesDelegates is SEC-05.
func traceReachesDelegates(ctx context.Context, e *thick.Env) {
	e.Definition("second", e.FakeList("second"))
	e.Definition("broken", e.FakeList("broken", script.Fake{Add: script.FakeStep{Error: &types.Error{Code: 100, Msg: "told to fail"}}}))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("second"))
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		t := newTrace()
		ginkgo.By(command + " of the shim")
		expect.Succeeded(e.Shim(ctx, command, s, byShim(t.variables())))
		expectTrace(e.CallsFor(command, s), t, "default", "second")
		t = newTrace()
		if command != "CHECK" {
			continue // one ADD has to come before each other command
		}
		ginkgo.By(command + " over the socket")
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, traced(e.Request(command, s), t.variables())))
		expectTrace(e.CallsFor(command, s)[2:], t, "default", "second")
	}
	traceOfEach(ctx, e)
	traceOfRollback(ctx, e)
	if e.Supports(thick.FeatureGC) {
		t := newTrace()
		e.MustOK(e.Add(ctx, s))
		e.ResetCalls()
		ginkgo.By("GC")
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, traced(expect.NodeRequest(e, s, "GC"), t.variables())))
		for _, c := range e.CallsOf("GC") { // that there are some is GC-01's
			expectTrace([]script.Call{c}, t, c.Network)
		}
		e.MustOK(e.Del(ctx, s))
	}
	if e.Supports(thick.FeatureHotplug) {
		traceOfHotPlug(ctx, e)
	}
	noTrace(ctx, e)
	malformedTrace(ctx, e)
}

// traceOfEach has several requests at once, each in its own trace.
func traceOfEach(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("several requests at once")
	var sandboxes []*node.Sandbox
	var traces []traceOf
	var shims []*thick.ShimProcess
	for range 4 {
		s, t := e.Sandbox(node.Networks("second")), newTrace()
		sandboxes, traces = append(sandboxes, s), append(traces, t)
		shims = append(shims, e.StartShim(ctx, "ADD", s, byShim(t.variables())))
	}
	for i, shim := range shims {
		expect.Succeeded(shim.Wait(ctx))
		expectTrace(e.CallsFor("ADD", sandboxes[i]), traces[i], "default", "second")
	}
	for i, s := range sandboxes {
		traces[i] = newTrace()
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, traced(e.Request("DEL", s), traces[i].variables())))
		expectTrace(e.CallsFor("DEL", s), traces[i], "default", "second")
	}
}

// traceOfRollback has an ADD fail: what is undone is a part of its trace.
func traceOfRollback(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("an ADD that fails and is rolled back")
	s, t := e.Sandbox(node.Networks("broken")), newTrace()
	Expect(e.Post(ctx, api.MultusCNIAPIEndpoint, traced(e.Request("ADD", s), t.variables())).OK()).To(BeFalse(), "an ADD whose delegate fails")
	expectTrace(e.CallsFor("ADD", s), t, "default", "broken")
	for _, c := range e.CallsFor("DEL", s) { // that there are some is ADD-05's
		expectTrace([]script.Call{c}, t, c.Network)
	}
}

// traceOfHotPlug is SEC-05 on /delegate.
func traceOfHotPlug(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	for _, command := range []string{"ADD", "DEL"} {
		ginkgo.By(command + " on /delegate")
		e.ResetCalls()
		t := newTrace()
		e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, traced(expect.HotplugRequest(e, s, command, e.FakeList("hot")), t.variables())))
		expectTrace(e.CallsFor(command, s), t, "hot")
	}
	e.MustOK(e.Del(ctx, s))
}

// noTrace has a request without a trace context: no other one's may be handed on.
func noTrace(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a request without a trace context, after one with it")
	s, t := e.Sandbox(node.Networks("second")), newTrace()
	expect.Succeeded(e.Shim(ctx, "ADD", s, byShim(t.variables())))
	expect.Succeeded(e.Shim(ctx, "DEL", s))
	for _, c := range e.CallsFor("DEL", s) {
		given := traceGiven(c)
		Expect(given[parentVariable]).NotTo(ContainSubstring(t.id), "the trace of another request at DEL of %s", c.Network)
		Expect(given[stateVariable]).NotTo(ContainSubstring(t.state), "the state of another request at DEL of %s", c.Network)
		Expect(given).NotTo(HaveKey(baggageVariable), "at DEL of %s", c.Network)
	}
}

// malformed are values that W3C's Trace Context and Baggage exclude; each of the
// other variables is well-formed.
func malformed(t traceOf) []struct{ what, variable, value string } {
	const span = "-b7ad6b7169203331-01"
	return []struct{ what, variable, value string }{
		{"text", parentVariable, "not-a-parent"},
		{"upper case", parentVariable, "00-" + strings.ToUpper(t.id[:31]) + "F" + span},
		{"version ff", parentVariable, "ff-" + t.id + span},
		{"a trace id of zeros", parentVariable, "00-" + strings.Repeat("0", 32) + span},
		{"a span id of zeros", parentVariable, "00-" + t.id + "-0000000000000000-01"},
		{"a short trace id", parentVariable, "00-" + t.id[:31] + span},
		{"more than version 00 has", parentVariable, "00-" + t.id + span + "-" + hostileMark},
		{"a second line", parentVariable, "00-" + t.id + span + "\nLD_PRELOAD=" + hostileMark},
		{"text", stateVariable, hostileMark},
		{"no key", stateVariable, "=" + hostileMark},
		{"a second line", stateVariable, "a=" + hostileMark + "\nLD_PRELOAD=x"},
		{"text", baggageVariable, hostileMark},
		{"no key", baggageVariable, "=" + hostileMark},
		{"a second line", baggageVariable, "a=" + hostileMark + "\nLD_PRELOAD=x"},
	}
}

// malformedTrace has requests succeed without what is malformed in their context,
// and with the rest.
func malformedTrace(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	for _, one := range malformed(newTrace()) {
		ginkgo.By(one.variable + " that is malformed: " + one.what)
		s, t := e.Sandbox(), newTrace()
		variables := t.variables()
		variables[one.variable] = one.value
		expect.Succeeded(e.Shim(ctx, "ADD", s, byShim(variables)))
		expectWithout(e.CallsFor("ADD", s), t, one.variable, one.value)
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, traced(e.Request("DEL", s), variables)))
		expectWithout(e.CallsFor("DEL", s), t, one.variable, one.value)
	}
	ginkgo.By("values that no process can be given, or that are larger than all of its environment")
	s := e.Sandbox()
	for _, value := range []string{"a=b\x00c", "a=" + strings.Repeat("b", 200<<10)} {
		variables := map[string]string{parentVariable: value, stateVariable: value, baggageVariable: value}
		for _, command := range []string{"ADD", "DEL"} {
			e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, traced(e.Request(command, s), variables)))
		}
	}
}

// expectWithout asserts that delegates did not get one malformed variable, and
// got the others as far as they mean something without it.
func expectWithout(calls []script.Call, t traceOf, variable, value string) {
	ginkgo.GinkgoHelper()
	Expect(calls).NotTo(BeEmpty(), "delegates that ran")
	for _, c := range calls {
		given := traceGiven(c)
		for _, text := range c.Env {
			Expect(text).NotTo(ContainSubstring(hostileMark), "at %s of %s", c.Command, c.Network)
		}
		if variable == parentVariable {
			if id := strings.Split(value, "-")[min(1, strings.Count(value, "-"))]; len(id) > 16 {
				Expect(strings.ToLower(given[parentVariable])).NotTo(ContainSubstring(strings.ToLower(id)), "the trace of a malformed %s at %s of %s", variable, c.Command, c.Network)
			}
			Expect(given[stateVariable]).NotTo(ContainSubstring(t.state), "%s without its %s at %s of %s", stateVariable, variable, c.Command, c.Network)
		} else {
			expectParent(c, given, t)
		}
		if variable != baggageVariable {
			expectBaggage(c, given, t)
		}
	}
}

// expectTrace asserts that the delegates of these networks ran, each in a trace.
func expectTrace(calls []script.Call, t traceOf, networks ...string) {
	ginkgo.GinkgoHelper()
	Expect(node.NetworksOf(calls)).To(ConsistOf(networks), "delegates that ran")
	for _, c := range calls {
		given := traceGiven(c)
		expectParent(c, given, t)
		// Whoever makes spans of its own puts itself before the others.
		Expect(strings.Split(given[stateVariable], ",")).To(ContainElement(t.state), "%s at %s of %s", stateVariable, c.Command, c.Network)
		expectBaggage(c, given, t)
	}
}

// wellFormedParent is a TRACEPARENT of which the id of the trace and the flags
// are known (W3C Trace Context, section 3.2).
var wellFormedParent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

// expectParent asserts that a delegate runs in the runtime's trace: below the
// runtime's span, or below one that the daemon has made of its own.
func expectParent(c script.Call, given map[string]string, t traceOf) {
	ginkgo.GinkgoHelper()
	parts := wellFormedParent.FindStringSubmatch(given[parentVariable])
	Expect(parts).NotTo(BeNil(), "%s is %q at %s of %s", parentVariable, given[parentVariable], c.Command, c.Network)
	Expect(parts[1]).To(Equal(t.id), "the trace at %s of %s", c.Command, c.Network)
	Expect(parts[2]).NotTo(Equal(strings.Repeat("0", 16)), "the span at %s of %s", c.Command, c.Network)
}

// expectBaggage asserts that a delegate has the runtime's baggage, in any order.
func expectBaggage(c script.Call, given map[string]string, t traceOf) {
	ginkgo.GinkgoHelper()
	members := strings.Split(given[baggageVariable], ",")
	for i, m := range members {
		members[i] = strings.TrimSpace(m)
	}
	Expect(members).To(ContainElements(strings.Split(t.baggage, ",")), "%s at %s of %s", baggageVariable, c.Command, c.Network)
}

// traceGiven is the trace context in a delegate's environment.
func traceGiven(c script.Call) map[string]string {
	given := map[string]string{}
	for _, variable := range c.Env {
		name, value, _ := strings.Cut(variable, "=")
		if slices.Contains([]string{parentVariable, stateVariable, baggageVariable}, name) {
			given[name] = value
		}
	}
	return given
}
