// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// readyHealthMethods is READY-06.
func readyHealthMethods(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	healthMethods(ctx, e)
}

// healthMethods asks a daemon that runs.
func healthMethods(ctx context.Context, e *thick.Env) {
	ask := func(method, body string) *thick.Answer {
		ginkgo.GinkgoHelper()
		a, err := e.Do(ctx, method, api.MultusHealthAPIEndpoint, nil, strings.NewReader(body))
		Expect(err).NotTo(HaveOccurred(), method)
		return a
	}
	Expect(ask(http.MethodGet, "").Status).To(Equal(http.StatusOK), "the HTTP status of the answer")
	// Clients of the API post "null"; whatever is posted is not looked at.
	for _, body := range []string{"", "null", "{}", "not JSON"} {
		Expect(ask(http.MethodPost, body).Status).To(Equal(http.StatusOK), "POST of %q", body)
	}
	others := []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodHead, http.MethodOptions, http.MethodTrace, "BREW"}
	for _, method := range others {
		a := ask(method, "")
		Expect(a.Status).To(Equal(http.StatusMethodNotAllowed), method)
		var allowed []string
		for _, m := range strings.Split(strings.Join(a.Header.Values("Allow"), ","), ",") {
			allowed = append(allowed, strings.TrimSpace(m))
		}
		Expect(allowed).To(ConsistOf(http.MethodGet, http.MethodPost), "Allow in the answer to %s", method)
	}
}

// readyzTellsTheTruth is READY-07.
func readyzTellsTheTruth(ctx context.Context, e *thick.Env) {
	gate := filepath.Join(e.Dir, "gate")
	e.Definition("held", e.FakeList("held", script.Fake{Del: script.FakeStep{WaitFor: gate}}))
	d := readyzBeforeSync(ctx, e)
	held := e.Sandbox(node.Networks("held"))
	e.MustOK(e.Add(ctx, held))
	expect.Probe(ctx, e, api.MultusReadyAPIEndpoint, http.StatusOK)

	outcome := e.Async(ctx, e.Request("DEL", held))
	e.AwaitCalls(ctx, 1, expect.CallIn("held", "DEL", held))
	d.Terminate()
	expect.AwaitUnready(ctx, e, d)
	Consistently(func() int { return expect.ProbeStatus(ctx, e, api.MultusReadyAPIEndpoint) }).
		WithTimeout(500*time.Millisecond).ShouldNot(Equal(http.StatusOK), "/readyz after SIGTERM")
	Expect(d.Ended()).To(BeFalse(), "a request is in flight")
	e.Touch(gate)
	e.MustOK(expect.Answered(ctx, outcome))
	d.Await(ctx)
}

// readyzBeforeSync starts the daemon while its cluster is away. An ADD that comes then may wait or fail, but not succeed.
func readyzBeforeSync(ctx context.Context, e *thick.Env) *thick.Daemon {
	ginkgo.GinkgoHelper()
	early := e.Sandbox()
	e.ClusterAway()
	d := e.Start(ctx, thick.WithoutWaiting())
	if !mayServe(ctx, e) {
		e.ClusterBack()
		awaitReady(ctx, e, api.MultusReadyAPIEndpoint)
		expect.Serves(ctx, e)
		return d
	}
	outcome := e.Async(ctx, e.Request("ADD", early))
	var first *thick.Outcome
	Consistently(func() int {
		select {
		case o := <-outcome:
			first = &o
		default:
		}
		return expect.ProbeStatus(ctx, e, api.MultusReadyAPIEndpoint)
	}).WithTimeout(700*time.Millisecond).ShouldNot(Equal(http.StatusOK), "/readyz while the cluster is away")
	if first != nil {
		Expect(first.Err).NotTo(HaveOccurred())
		Expect(first.Answer.OK()).To(BeFalse(), "a made-up success: %s", first.Answer)
		Expect(first.Answer.Error()).NotTo(BeNil(), "no CNI error: %s", first.Answer)
	}
	Expect(e.CallsOf("ADD")).To(BeEmpty(), "delegates that ran for a pod that nobody knows")
	expect.Probe(ctx, e, api.MultusHealthAPIEndpoint, http.StatusOK)

	e.ClusterBack()
	awaitProbe(ctx, e, api.MultusReadyAPIEndpoint)
	if first == nil {
		e.MustOK(expect.Answered(ctx, outcome))
	} else {
		e.MustOK(e.Add(ctx, early))
	}
	Expect(e.CallsFor("ADD", early)).To(HaveLen(1), "calls of delegates at ADD")
	e.MustOK(e.Del(ctx, early))
	expect.Serves(ctx, e)
	return d
}

// readyDrains is READY-08. Three sandboxes: an ADD and a DEL are in flight
// when SIGTERM comes, and a DEL of the third comes after it.
func readyDrains(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	gate := filepath.Join(e.Dir, "gate")
	e.Definition("slow-add", e.FakeList("slow-add", script.Fake{Add: script.FakeStep{WaitFor: gate}}))
	e.Definition("slow-del", e.FakeList("slow-del", script.Fake{Del: script.FakeStep{WaitFor: gate}}))
	adding, deleting, later := e.Sandbox(node.Networks("slow-add")), e.Sandbox(node.Networks("slow-del")), e.Sandbox()
	d := e.Start(ctx)
	e.MustOK(e.Add(ctx, deleting))
	e.MustOK(e.Add(ctx, later))
	add, del := e.Async(ctx, e.Request("ADD", adding)), e.Async(ctx, e.Request("DEL", deleting))
	e.AwaitCalls(ctx, 1, expect.CallIn("slow-add", "ADD", adding))
	e.AwaitCalls(ctx, 1, expect.CallIn("slow-del", "DEL", deleting))

	d.Terminate()
	if e.Supports(thick.FeatureReadyz) {
		expect.AwaitUnready(ctx, e, d)
	}
	e.MustOK(e.Del(ctx, later))
	Expect(e.CallsFor("DEL", later)).To(HaveLen(1), "the delegate's DEL, after SIGTERM")
	Consistently(func() int { return expect.ProbeStatus(ctx, e, api.MultusHealthAPIEndpoint) }).
		WithTimeout(time.Second).Should(Equal(http.StatusOK), "/healthz while requests are in flight (0 means no answer)")
	e.MustOK(e.Del(ctx, e.Sandbox()))
	expect.ReadyNow(ctx, e.Client().CheckAPIReadyNow, e.RunDir, "a shim's DEL asks this")
	Expect(d.Ended()).To(BeFalse(), "requests are in flight")
	Expect(add).NotTo(Receive(), "the ADD's delegate still runs")

	e.Touch(gate)
	Expect(expect.Answered(ctx, add).Result().Interfaces).NotTo(BeNil(), "interfaces in the result")
	e.MustOK(expect.Answered(ctx, del))
	d.Await(ctx)
	Expect(d.ExitCode()).To(BeZero(), "the exit status after SIGTERM; the log:\n%s", d.Log())
	expectFinished(ctx, e, adding, deleting)
}

// expectFinished asserts that what was in flight was carried out to its end,
// with delegates that were not cut off, and is known to the next daemon.
func expectFinished(ctx context.Context, e *thick.Env, adding, deleting *node.Sandbox) {
	ginkgo.GinkgoHelper()
	for _, c := range append(e.CallsFor("ADD", adding), e.CallsFor("DEL", deleting)...) {
		Expect(c.End.IsZero()).To(BeFalse(), "%s of %s was cut off", c.Command, c.Network)
	}
	Expect(e.CallsFor("ADD", adding)).To(HaveLen(2), "calls of delegates at ADD")
	Expect(e.CallsFor("DEL", deleting)).To(HaveLen(2), "calls of delegates at DEL")
	Expect(e.CallsFor("DEL", adding)).To(BeEmpty(), "an ADD that was answered with success must not be rolled back")
	if !e.Supports(thick.FeatureRestart) {
		e.AllowLeftovers("the target cannot be started again to delete what was attached last")
		return
	}
	e.Start(ctx)
	e.MustOK(e.Check(ctx, adding))
	e.MustOK(e.Del(ctx, adding))
	Expect(e.CallsFor("DEL", adding)).To(HaveLen(2), "calls of delegates at DEL")
}
