// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

const (
	// checkLimit is the time that one check may take.
	checkLimit = time.Second
	// machineSlack is added to the contract's limits: a busy machine may run
	// the suite's own goroutines that much later.
	machineSlack = 400 * time.Millisecond
)

// expectUnreachable asserts that one check fails in time and names the socket.
func expectUnreachable(e *thick.Env, runDir, why string) {
	ginkgo.GinkgoHelper()
	var r waited
	Eventually(beside(e.Client().CheckAPIReadyNow, runDir)).WithTimeout(checkLimit+5*time.Second).Should(Receive(&r), "%s: the check must end", why)
	Expect(r.err).To(HaveOccurred(), "CheckAPIReadyNow is nil although %s", why)
	Expect(r.err.Error()).To(ContainSubstring(api.SocketPath(runDir)), "%s: the error must name the socket", why)
	Expect(r.took).To(BeNumerically("<=", checkLimit+suite.Patience(machineSlack)), "%s: the time that the check took", why)
}

// readyCheckedNow is READY-01.
func readyCheckedNow(ctx context.Context, e *thick.Env) {
	at := func(name string) string { return filepath.Join(e.Dir, name) }
	expectUnreachable(e, e.RunDir, "there is no run directory")
	Expect(os.Mkdir(at("empty"), 0o700)).To(Succeed())
	expectUnreachable(e, at("empty"), "there is no socket")
	Expect(os.Mkdir(at("stale"), 0o700)).To(Succeed())
	expect.StaleSocket(api.SocketPath(at("stale")))
	expectUnreachable(e, at("stale"), "the connection is refused")
	Expect(os.Mkdir(at("file"), 0o700)).To(Succeed())
	Expect(os.WriteFile(api.SocketPath(at("file")), nil, 0o600)).To(Succeed())
	expectUnreachable(e, at("file"), "the socket is a regular file")
	misbehave(e, at("closing"), func(c net.Conn) { _ = c.Close() })
	expectUnreachable(e, at("closing"), "the peer hangs up")
	answerProbes(e, at("broken"), http.StatusInternalServerError)
	Expect(e.Client().CheckAPIReadyNow(at("broken"))).NotTo(Succeed(), "a daemon that answers 500")

	d := e.Start(ctx)
	for _, dir := range []string{e.RunDir, e.RunDir + "/"} {
		expect.ReadyNow(ctx, e.Client().CheckAPIReadyNow, dir, "a daemon that is ready")
	}
	d.Stop(ctx)
	expectUnreachable(e, e.RunDir, "the daemon has ended")
}

// readyPromptly is READY-02.
func readyPromptly(ctx context.Context, e *thick.Env) {
	ginkgo.By("a daemon that is there already: no waiting at all is called for")
	p := answerProbes(e, filepath.Join(e.Dir, "stub"), http.StatusOK)
	start := time.Now()
	Expect(e.Client().WaitUntilAPIReady(filepath.Join(e.Dir, "stub"))).To(Succeed())
	Expect(time.Since(start)).To(BeNumerically("<=", 2*api.APIReadyPollDuration+suite.Patience(machineSlack)), "how long it took")

	ginkgo.By("a daemon that serves and says after a while that it is ready")
	p.set(http.StatusServiceUnavailable)
	asked := p.requests()
	w := waitUntilReady(e, filepath.Join(e.Dir, "stub"))
	Eventually(p.requests).WithContext(ctx).Should(BeNumerically(">", asked+1), "it is asked again and again")
	expectStillWaiting(w, "the daemon says that it is not ready")
	since := time.Now()
	p.set(http.StatusOK)
	expectWithinTwoPeriods(ctx, w, since)

	ginkgo.By("the target's daemon")
	readyDaemonPromptly(ctx, e)
}

// readyDaemonPromptly has the target's daemon wait for its cluster, so that
// there is a time in which it serves and is not ready.
func readyDaemonPromptly(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	unready := e.Supports(thick.FeatureReadyz)
	if unready {
		e.ClusterAway()
	}
	w := waitUntilReady(e, e.RunDir)
	expectStillWaiting(w, "no daemon runs")
	e.Start(ctx, thick.WithoutWaiting())
	endpoint := api.MultusHealthAPIEndpoint
	if unready {
		if mayServe(ctx, e) {
			expectStillWaiting(w, "the daemon does not know its cluster yet")
		}
		e.ClusterBack()
		endpoint = api.MultusReadyAPIEndpoint
	}
	awaitReady(ctx, e, endpoint)
	expectWithinTwoPeriods(ctx, w, time.Now())
}

// awaitProbe waits until the daemon answers a probe with 200.
func awaitProbe(ctx context.Context, e *thick.Env, endpoint string) {
	ginkgo.GinkgoHelper()
	Eventually(func() error { return e.Probe(ctx, e.RunDir, endpoint) }).WithContext(ctx).
		WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).Should(Succeed(), "%s is answered with 200", endpoint)
}

// mayServe waits for /healthz of a daemon whose cluster is away. One that does
// not serve at all until it knows its cluster is not ready either.
func mayServe(ctx context.Context, e *thick.Env) bool {
	healthy := func() []string {
		if err := e.Probe(ctx, e.RunDir, api.MultusHealthAPIEndpoint); err != nil {
			return []string{err.Error()}
		}
		return nil
	}
	return node.Await(healthy, 5*time.Second)
}

// awaitReady waits for a daemon whose cluster is back: it may look for it with
// growing pauses.
func awaitReady(ctx context.Context, e *thick.Env, endpoint string) {
	ginkgo.GinkgoHelper()
	Eventually(func() error { return e.Probe(ctx, e.RunDir, endpoint) }).WithContext(ctx).
		WithTimeout(45*time.Second).WithPolling(node.PollInterval).Should(Succeed(), "%s is answered with 200", endpoint)
}

func expectWithinTwoPeriods(ctx context.Context, w <-chan waited, since time.Time) {
	ginkgo.GinkgoHelper()
	var r waited
	Eventually(w).WithContext(ctx).WithTimeout(thick.StartTimeout).Should(Receive(&r), "WaitUntilAPIReady must return")
	Expect(r.err).NotTo(HaveOccurred())
	Expect(r.at.Sub(since)).To(BeNumerically("<=", 2*api.APIReadyPollDuration+suite.Patience(machineSlack)), "from ready to returned")
}

// readyGivesUp is READY-03, for all ways of not being ready at once.
func readyGivesUp(ctx context.Context, e *thick.Env) {
	at := func(name string) string { return filepath.Join(e.Dir, name) }
	Expect(os.Mkdir(at("stale"), 0o700)).To(Succeed())
	expect.StaleSocket(api.SocketPath(at("stale")))
	misbehave(e, at("silent"), silent)
	answerProbes(e, at("unready"), http.StatusServiceUnavailable)
	waits := map[string]<-chan waited{}
	for _, name := range []string{"missing", "stale", "silent", "unready"} {
		waits[name] = waitUntilReady(e, at(name))
	}
	for name, w := range waits {
		var r waited
		Eventually(w).WithContext(ctx).WithTimeout(api.APIReadyPollTimeout+10*time.Second).Should(Receive(&r), "%s: it must give up", name)
		Expect(r.err).To(HaveOccurred(), name)
		Expect(r.err.Error()).To(ContainSubstring(api.SocketPath(at(name))), "%s: the error must name the socket", name)
		Expect(r.took).To(BeNumerically(">=", api.APIReadyPollTimeout), "%s: it gave up early", name)
		Expect(r.took).To(BeNumerically("<=", api.APIReadyPollTimeout+suite.Patience(time.Second)), "%s: it gave up late", name)
	}
}

// readySocketRecreated is READY-04. The old daemon goes on listening behind
// the name that it lost, as one that drains does: who kept the connection to
// it, or the file, never sees the new one.
func readySocketRecreated(ctx context.Context, e *thick.Env) {
	w := waitUntilReady(e, e.RunDir)
	for range 3 {
		old := answerProbes(e, e.RunDir, http.StatusServiceUnavailable)
		Eventually(old.requests).WithContext(ctx).WithTimeout(thick.StartTimeout).Should(BeNumerically(">", 0), "it asks each daemon that comes")
		Expect(os.Remove(e.Socket())).To(Succeed())
		expectStillWaiting(w, "the socket is gone")
	}
	Expect(os.RemoveAll(e.RunDir)).To(Succeed())
	expectStillWaiting(w, "the run directory is gone")
	e.Start(ctx)
	expectWithinTwoPeriods(ctx, w, time.Now())
}

// readySilentPeer is READY-05, for peers that say nothing, too little, or
// something without end, and for one that does not even accept.
func readySilentPeer(ctx context.Context, e *thick.Env) {
	at := func(name string) string { return filepath.Join(e.Dir, name) }
	peers := map[string]func(net.Conn){"silent": silent, "half": halfAnswer, "endless": endlessAnswer}
	listenIn(e, at("backlog"))
	expectUnreachable(e, at("backlog"), "the peer never accepts")
	for name, f := range peers {
		misbehave(e, at(name), f)
		expectUnreachable(e, at(name), "the peer's answer is "+name)
	}
	for name := range peers {
		ginkgo.By(name + ", and then a daemon takes its place")
		w := waitUntilReady(e, at(name))
		expectStillWaiting(w, "the peer's answer is "+name)
		Expect(os.Remove(api.SocketPath(at(name)))).To(Succeed())
		answerProbes(e, at(name), http.StatusOK)
		replaced := time.Now()
		var r waited
		Eventually(w).WithContext(ctx).WithTimeout(thick.StartTimeout).Should(Receive(&r), "WaitUntilAPIReady must return")
		Expect(r.err).NotTo(HaveOccurred())
		Expect(r.at.Sub(replaced)).To(BeNumerically("<=", checkLimit+2*api.APIReadyPollDuration+suite.Patience(machineSlack)),
			"the check that hung on the peer must end by its deadline, and the next find the daemon")
	}
}
