// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var overlapCases = []thick.Case{{
	ID: "HOT-11", Level: spec.Must, Source: "CNI §3", Needs: []spec.Feature{thick.FeatureHotplug}, Body: hotNeverOverlaps,
	Title: "Requests of /delegate and of /cni for one sandbox never overlap",
}}

// hotNeverOverlaps is HOT-11: each request is held in its delegate while others
// of the sandbox arrive. How the others end is not this row's; what runs for
// them must not begin before the first has ended.
func hotNeverOverlaps(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	gate := func(name string) string { return filepath.Join(e.Dir, "gate-"+name) }
	e.DefaultNetwork(e.FakeList("default", script.Fake{Check: script.FakeStep{WaitFor: gate("check")}, Del: script.FakeStep{WaitFor: gate("del")}}))
	e.Start(ctx)
	defer func() { // what a failure leaves waiting would hold the case's end
		for _, name := range []string{"check", "del", "hot-add", "hot-del"} {
			e.Touch(gate(name))
		}
	}()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	held := e.FakeList("held", script.Fake{Add: script.FakeStep{WaitFor: gate("hot-add")}, Del: script.FakeStep{WaitFor: gate("hot-del")}})
	quick := e.FakeList("quick")
	hot := func(command, ifName, config string) func() <-chan thick.Outcome {
		return func() <-chan thick.Outcome {
			r := expect.HotplugRequest(e, s, command, config)
			r.Env["CNI_IFNAME"] = ifName
			return posted(ctx, e, api.MultusDelegateAPIEndpoint, r)
		}
	}
	cni := func(command string) func() <-chan thick.Outcome {
		return func() <-chan thick.Outcome {
			return posted(ctx, e, api.MultusCNIAPIEndpoint, e.Request(command, s))
		}
	}
	for _, row := range []struct {
		what, gate, command, network string
		first                        func() <-chan thick.Outcome
		others                       []func() <-chan thick.Outcome
	}{
		{"CHECK", "check", "CHECK", "default", cni("CHECK"), []func() <-chan thick.Outcome{hot("ADD", "hot1", quick), hot("ADD", "hot2", quick)}},
		{"a hot-plug", "hot-add", "ADD", "held", hot("ADD", "hot0", held), []func() <-chan thick.Outcome{cni("CHECK"), hot("DEL", "hot1", quick)}},
		{"an unplug", "hot-del", "DEL", "held", hot("DEL", "hot0", held), []func() <-chan thick.Outcome{cni("CHECK"), hot("ADD", "hot3", quick)}},
		{"DEL", "del", "DEL", "default", cni("DEL"), []func() <-chan thick.Outcome{hot("ADD", "hot4", quick), hot("DEL", "hot2", quick)}},
	} {
		ginkgo.By("others arrive during " + row.what)
		expectAlone(ctx, e, s, gate(row.gate), row.command, row.network, row.first, row.others)
	}
}

// posted sends a request without waiting.
func posted(ctx context.Context, e *thick.Env, endpoint string, r *api.Request) <-chan thick.Outcome {
	out := make(chan thick.Outcome, 1)
	go func() {
		a, err := e.TryPost(ctx, endpoint, r)
		out <- thick.Outcome{Answer: a, Err: err}
	}()
	return out
}

// expectAlone holds the first request in the delegate of a network until the
// others have had time to begin, and asserts that none did.
func expectAlone(ctx context.Context, e *thick.Env, s *node.Sandbox, gate, command, network string,
	first func() <-chan thick.Outcome, others []func() <-chan thick.Outcome) {
	ginkgo.GinkgoHelper()
	e.ResetCalls()
	answers := []<-chan thick.Outcome{first()}
	e.AwaitCalls(ctx, 1, func(c script.Call) bool { return expect.CallOf(s, command, network)(c) && c.End.IsZero() })
	running := len(expect.CallsOfSandbox(e, s))
	for _, other := range others {
		answers = append(answers, other())
	}
	Consistently(func() []string { return expect.Trace(expect.CallsOfSandbox(e, s)) }).WithTimeout(400*time.Millisecond).Should(HaveLen(running),
		"only the delegates of the request that came first may run")
	e.Touch(gate)
	for _, a := range answers {
		expect.AwaitAnswer(a)
	}
	expect.NoOverlap(expect.CallsOfSandbox(e, s))
}
