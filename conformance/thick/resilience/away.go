// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var awayCases = []thick.Case{
	{
		ID: "RES-04", Level: spec.Must, Source: "#920", Needs: []spec.Feature{thick.FeatureKubernetes, thick.FeatureGC, thick.FeatureStatus},
		Body: apiServerAway, Slow: 60 * time.Second, Timeout: 240 * time.Second,
		Title: "API server away: DEL, CHECK, GC, STATUS work; ADD fails with code 11 unless its data is cached",
	},
}

const (
	// atOnce is what a request that needs no API server may take beside others
	// on a small machine.
	atOnce = 5 * time.Second
	// atOnceLoaded is what one of outageSandboxes DELs may take, with as many
	// ADDs beside it, on a machine that has more to do: less than outage/2, for
	// which the API server says nothing at all.
	atOnceLoaded = 12 * time.Second
	// addLimit is how long an ADD may try to reach the API server.
	addLimit = 90 * time.Second
	// outage is how long the API server is away while outageSandboxes come
	// and as many go.
	outage          = 30 * time.Second
	outageSandboxes = 50
)

// apiServerAway is RES-04: connections are refused, or nothing answers; then a
// node's load during half a minute of both.
func apiServerAway(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(expect.Versioned(e.FakeList("default", expect.RealInterface()), "1.1.0"))
	e.Definition("blue", expect.Versioned(e.FakeList("blue", expect.RealInterface()), "1.1.0"))
	e.Start(ctx)
	for what, away := range map[string]func(){"refuses": e.ClusterAway, "is silent": e.ClusterSilent} {
		ginkgo.By("the API server " + what)
		worksAlone(ctx, e, away)
	}
	ginkgo.By(fmt.Sprintf("the API server is away for %s, during %d ADDs and %d DELs", outage, outageSandboxes, outageSandboxes))
	outageUnderLoad(ctx, e)
}

// worksAlone asserts what works while the API server is away, and that nothing
// is amiss when it is back.
func worksAlone(ctx context.Context, e *thick.Env, away func()) {
	ginkgo.GinkgoHelper()
	kept, deleted, lost := e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("blue"))
	for _, s := range []*node.Sandbox{kept, deleted, lost} {
		e.MustOK(e.Add(ctx, s))
	}
	reached := checkReaches(ctx, e, kept)
	away()
	late := e.Sandbox(node.Networks("blue"))
	add := e.Async(ctx, e.Request("ADD", late))
	within(ctx, "CHECK", func(ctx context.Context) {
		Expect(checkReaches(ctx, e, kept)).To(Equal(reached), "attachments that CHECK reaches")
	})
	for _, w := range expect.WaysOf(e) {
		within(ctx, "STATUS", func(ctx context.Context) {
			expect.Served(w.Ask(ctx, expect.StatusRequest(e)), "STATUS through "+w.Name)
		})
	}
	within(ctx, "DEL", func(ctx context.Context) { e.MustOK(e.Del(ctx, deleted)) })
	expect.Deleted(e, deleted)
	within(ctx, "a second DEL", func(ctx context.Context) { e.MustOK(e.Del(ctx, deleted)) })
	within(ctx, "GC", func(ctx context.Context) {
		expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.GcRequest(e, kept, late)), "GC")
	})
	expect.Deleted(e, lost)
	within(ctx, "CHECK after GC", func(ctx context.Context) {
		Expect(checkReaches(ctx, e, kept)).To(Equal(reached), "attachments that CHECK reaches")
	})

	ginkgo.By("an ADD of a pod that the daemon has never heard of")
	if expectAddedOrPutOff(ctx, e, late, add) {
		ginkgo.Fail("an ADD succeeded whose pod the daemon cannot know")
	}
	e.ClusterBack()
	Eventually(func() string { return e.Add(ctx, late).String() }).WithContext(ctx).WithTimeout(addLimit).
		Should(HavePrefix("200 "), "ADD when the API server is back")
	expect.Published(e, late, 2)
	for _, s := range []*node.Sandbox{kept, late} {
		e.MustOK(e.Del(ctx, s))
		expect.Deleted(e, s)
	}
}

// checkReaches lists the delegates that a CHECK executes, which must succeed.
// That they are all of them is CHECK-01's.
func checkReaches(ctx context.Context, e *thick.Env, s *node.Sandbox) []string {
	ginkgo.GinkgoHelper()
	before := len(e.CallsFor("CHECK", s))
	e.MustOK(e.Check(ctx, s))
	return expect.PlacesOf(e.CallsFor("CHECK", s)[before:])
}

// within runs what must not wait for the API server.
func within(ctx context.Context, what string, f func(ctx context.Context)) {
	ginkgo.GinkgoHelper()
	began := time.Now()
	f(ctx)
	Expect(time.Since(began)).To(BeNumerically("<", suite.Patience(atOnce)), "%s while the API server is away", what)
}

// expectAddedOrPutOff waits for an ADD's answer, which is success, or code 11
// and nothing left; it says which.
func expectAddedOrPutOff(ctx context.Context, e *thick.Env, s *node.Sandbox, outcome <-chan thick.Outcome) bool {
	ginkgo.GinkgoHelper()
	var o thick.Outcome
	Eventually(outcome).WithContext(ctx).WithTimeout(addLimit).Should(Receive(&o), "an ADD without an API server has to end")
	Expect(o.Err).NotTo(HaveOccurred())
	if o.Answer.OK() {
		Expect(s.InterfaceNames()).To(HaveLen(2), "the interfaces of an ADD that succeeded")
		return true
	}
	err := expect.Refused(o.Answer)
	Expect(err.Code).To(BeEquivalentTo(types.ErrTryAgainLater), "the code of an ADD without an API server: %v", err)
	Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of an ADD that failed")
	return false
}

// outageUnderLoad is a node whose pods come and go while the API server is
// away: at first without a word, then refusing.
func outageUnderLoad(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	var going, coming []*node.Sandbox
	for range outageSandboxes {
		going = append(going, e.Sandbox(node.Networks("blue")))
	}
	inParallel(going, func(s *node.Sandbox) { e.MustOK(e.Add(ctx, s)) })
	// The daemon has heard of half of those that come.
	for range outageSandboxes / 2 {
		coming = append(coming, e.Sandbox(node.Networks("blue")))
	}
	e.ClusterSilent()
	over := time.After(outage)
	for len(coming) < outageSandboxes {
		coming = append(coming, e.Sandbox(node.Networks("blue")))
	}
	adds := map[*node.Sandbox]<-chan thick.Outcome{}
	for _, s := range coming {
		adds[s] = e.Async(ctx, e.Request("ADD", s))
	}
	slowest := deleteTimed(ctx, e, going)
	Expect(slowest).To(BeNumerically("<", suite.Patience(atOnceLoaded)), "the slowest of %d DELs while the API server is away", len(going))
	half := time.After(outage / 2)
	select {
	case <-half:
	case <-ctx.Done():
	}
	e.ClusterAway()
	select {
	case <-over:
	case <-ctx.Done():
	}
	e.ClusterBack()
	added := 0
	for s, outcome := range adds {
		if expectAddedOrPutOff(ctx, e, s, outcome) {
			added++
		}
	}
	e.Notef("%d of %d ADDs succeeded, the others were put off; the slowest of %d DELs took %s", added, len(coming), len(going), slowest.Round(time.Millisecond))
	inParallel(coming, func(s *node.Sandbox) { e.MustOK(e.Del(ctx, s)); expect.Deleted(e, s) })
	ginkgo.By("and afterwards all is as ever")
	s := e.Sandbox(node.Networks("blue"))
	Eventually(func() string { return e.Add(ctx, s).String() }).WithContext(ctx).WithTimeout(addLimit).Should(HavePrefix("200 "), "the answer to ADD")
	expect.Published(e, s, 2)
}

// deleteTimed deletes sandboxes side by side and returns what the slowest took.
func deleteTimed(ctx context.Context, e *thick.Env, all []*node.Sandbox) time.Duration {
	ginkgo.GinkgoHelper()
	var mu sync.Mutex
	var slowest time.Duration
	inParallel(all, func(s *node.Sandbox) {
		began := time.Now()
		e.MustOK(e.Del(ctx, s))
		took := time.Since(began)
		expect.Deleted(e, s)
		mu.Lock()
		defer mu.Unlock()
		slowest = max(slowest, took)
	})
	return slowest
}

// inParallel runs f for all sandboxes side by side.
func inParallel(all []*node.Sandbox, f func(s *node.Sandbox)) {
	ginkgo.GinkgoHelper()
	var running sync.WaitGroup
	for _, s := range all {
		running.Go(func() {
			defer ginkgo.GinkgoRecover()
			f(s)
		})
	}
	running.Wait()
}
