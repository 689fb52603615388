// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var fairnessCases = []thick.Case{
	{
		ID: "SEC-11", Level: spec.Must, Source: "OPS", Body: securityFairness, Slow: 30 * time.Second, Timeout: 4 * time.Minute,
		Title: "Sandboxes whose delegates hang do not keep others from being served",
	},
}

const (
	// hangLimit is a delegate's time limit in SEC-11, and hangSlack how much
	// longer something may take on a busy machine.
	hangLimit = 4 * time.Second
	hangSlack = 2 * time.Second
	// hanging is how many sandboxes hang, one more than delegates may run.
	hanging = 4
)

// securityFairness is SEC-11. A node with a small limit of delegates stands for
// one with little memory.
func securityFairness(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	sick := script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true, Hang: true, Times: 3}}
	e.Definition("sick", e.FakeList("sick", sick))
	for _, name := range []string{"one", "two"} {
		e.Definition(name, e.FakeList(name, expect.VethFake(), script.Fake{}))
	}
	options := []thick.StartOption{thick.DelegateTimeout(hangLimit)}
	if e.Supports(thick.FeatureMultusConfig) {
		options = append(options, expect.Setting("connectionLimit", hanging-1))
	}
	e.Start(ctx, options...)
	alone := servedWithin(ctx, e, nil, suite.Patience(time.Minute))

	var sandboxes []*node.Sandbox
	for range hanging {
		s := e.Sandbox(node.Networks("sick"))
		e.MustOK(e.Add(ctx, s))
		sandboxes = append(sandboxes, s)
	}
	var posting sync.WaitGroup
	for _, s := range sandboxes {
		posting.Go(func() { deleteUntilGone(ctx, e, s) })
	}
	e.AwaitCalls(ctx, 2, func(c script.Call) bool { return c.Command == "DEL" && c.Network == "sick" })
	servedWithin(ctx, e, sandboxes, 2*alone+hangLimit+suite.Patience(hangSlack))
	posting.Wait()
	for _, s := range sandboxes {
		Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
	}
	if e.Supports(thick.FeatureGC) {
		securityGCHangs(ctx, e, alone)
	}
}

// securityGCHangs is SEC-11 for plugins that hang at GC, one after the other, of a
// network of a name of its own and of one that has the default network's.
func securityGCHangs(ctx context.Context, e *thick.Env, alone time.Duration) {
	ginkgo.GinkgoHelper()
	hangs := expect.VethFake()
	hangs.GC = script.FakeStep{Hang: true}
	more := script.Fake{GC: script.FakeStep{Hang: true}}
	for definition, network := range map[string]string{"lingering": "lingering", "impostor": "default"} {
		ginkgo.By("GC beside a definition whose network is called " + network)
		e.Definition(definition, expect.Versioned(e.FakeList(network, hangs, more, more, more), "1.1.0"))
		s := e.Sandbox(node.Networks(definition))
		e.MustOK(e.Add(ctx, s))
		collecting, stop := context.WithCancel(ctx)
		collected := e.Async(collecting, expect.GcRequest(e, s))
		e.AwaitCalls(ctx, 1, func(c script.Call) bool { return c.Command == "GC" && c.Network == network && c.End.IsZero() })
		servedBeside(ctx, e, "a GC that hangs", 2*alone+hangLimit+suite.Patience(hangSlack))
		stop()
		Eventually(collected).WithContext(ctx).WithTimeout(time.Minute).Should(Receive())
		e.MustOK(e.Del(ctx, s))
		Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
		e.DeleteDefinition(definition)
		e.ResetCalls()
	}
}

// deleteUntilGone posts DEL as a kubelet does: again and again.
func deleteUntilGone(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	defer ginkgo.GinkgoRecover()
	for range 10 {
		if e.Post(ctx, api.MultusCNIAPIEndpoint, e.Request("DEL", s)).OK() {
			return
		}
	}
	ginkgo.Fail("a DEL whose delegate hangs three times never succeeds")
}

// servedWithin asks for what others want of a node, each within a limit, and
// returns what the slowest took.
func servedWithin(ctx context.Context, e *thick.Env, valid []*node.Sandbox, limit time.Duration) time.Duration {
	ginkgo.GinkgoHelper()
	beside := fmt.Sprintf("%d sandboxes that hang", len(valid))
	slowest := servedBeside(ctx, e, beside, limit)
	if e.Supports(thick.FeatureGC) {
		slowest = max(slowest, asked(ctx, e, "GC", expect.GcRequest(e, valid...), beside, limit))
	}
	return slowest
}

// asked posts a request, which has to succeed within a limit, and returns what it took.
func asked(ctx context.Context, e *thick.Env, what string, r *api.Request, beside string, limit time.Duration) time.Duration {
	ginkgo.GinkgoHelper()
	start := time.Now()
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, r))
	took := time.Since(start)
	Expect(took).To(BeNumerically("<", limit), "the time of %s beside %s", what, beside)
	return took
}

// servedBeside is servedWithin without GC.
func servedBeside(ctx context.Context, e *thick.Env, beside string, limit time.Duration) (slowest time.Duration) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks("one,two"))
	ask := func(what string, r *api.Request) {
		ginkgo.GinkgoHelper()
		slowest = max(slowest, asked(ctx, e, what, r, beside, limit))
	}
	ask("ADD", e.Request("ADD", s))
	if e.Supports(thick.FeatureStatus) {
		ask("STATUS", expect.StatusRequest(e))
	}
	ask("CHECK", e.Request("CHECK", s))
	ask("DEL", e.Request("DEL", s))
	Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
	return slowest
}
