// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// socketSecondRefused is SOCK-10: beside a daemon that is working on a
// request, by another path to the same directory, and when both start at once.
func socketSecondRefused(ctx context.Context, e *Env) {
	gate := filepath.Join(e.Dir, "gate")
	e.Definition("held", e.FakeList("held", Fake{Add: FakeStep{WaitFor: gate}}))
	first := e.Start(ctx)
	attached, waiting := e.Sandbox(), e.Sandbox(Networks("held"))
	e.MustOK(e.Add(ctx, attached))
	answer := e.Async(ctx, e.Request("ADD", waiting))
	e.AwaitCalls(ctx, 1, callIn("held", "ADD", waiting))
	before := stamps(e.Socket())

	alias := filepath.Join(e.Dir, "alias")
	Expect(os.Symlink(e.Dir, alias)).To(Succeed())
	for _, runDir := range []string{e.RunDir, filepath.Join(alias, filepath.Base(e.RunDir))} {
		ginkgo.By("a second daemon on " + runDir)
		Expect(e.StartRefused(ctx, RunDir(runDir))).To(ContainSubstring(runDir), "the daemon must say why it does not start")
		Expect(stamps(e.Socket())).To(Equal(before), "the first daemon's socket")
		Expect(api.CheckAPIReadyNow(e.RunDir)).To(Succeed(), "the first daemon, beside the second")
	}

	e.Touch(gate)
	expectAnswered(ctx, answer).Result()
	for _, s := range []*Sandbox{attached, waiting} {
		Expect(e.CallsFor("DEL", s)).To(BeEmpty(), "DELs of delegates that nobody asked for")
		e.MustOK(e.Check(ctx, s))
		e.MustOK(e.Del(ctx, s))
	}
	Expect(first.ended()).To(BeFalse(), "the first daemon still runs")
	first.Stop(ctx)
	for range 4 {
		expectOneOfTwo(ctx, e)
	}
}

// expectOneOfTwo starts two daemons at once: one serves, the other refuses. A
// stale socket tempts both to remove what lies at the path.
func expectOneOfTwo(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("two daemons that start at once")
	Expect(os.RemoveAll(e.Socket())).To(Succeed())
	staleSocket(e.Socket())
	winner, loser := e.Start(ctx, WithoutWaiting()), e.Start(ctx, WithoutWaiting())
	Eventually(func() bool { return winner.ended() || loser.ended() }).WithContext(ctx).
		WithTimeout(refusalTimeout).WithPolling(pollInterval).Should(BeTrue(), "one of the two must refuse to start")
	if winner.ended() {
		winner, loser = loser, winner
	}
	Expect(loser.ExitCode()).NotTo(BeZero(), "a daemon that refuses to start must end with failure; its log:\n%s", loser.Log())
	Eventually(func() error { return e.probe(ctx, e.RunDir, api.MultusHealthAPIEndpoint) }).WithContext(ctx).
		WithTimeout(startTimeout).WithPolling(pollInterval).Should(Succeed(),
		func() string { return fmt.Sprintf("the other must serve; its log:\n%s", lastLines(winner.Log(), 40)) })
	expectServes(ctx, e)
	Expect(winner.ended()).To(BeFalse(), "the daemon that serves")
	winner.Stop(ctx)
}

// callIn matches a command's calls for a sandbox in one network.
func callIn(network, command string, s *Sandbox) func(Call) bool {
	return func(c Call) bool { return c.Network == network && c.Command == command && c.ContainerID == s.ID }
}

// expectAnswered waits for the answer to a request that was sent by Async.
func expectAnswered(ctx context.Context, outcome <-chan Outcome) *Answer {
	ginkgo.GinkgoHelper()
	var o Outcome
	Eventually(outcome).WithContext(ctx).WithTimeout(startTimeout).Should(Receive(&o), "an answer")
	Expect(o.Err).NotTo(HaveOccurred())
	return o.Answer
}

// besideEachOther is how long the old daemon and the new one run at once: long
// enough for one that thinks its file was tampered with to put it back.
const besideEachOther = 2 * time.Second

// socketTakenOver is SOCK-11. The run directory goes away under the old daemon
// as it does when a newly installed plugin clears it, so that the new one can
// start beside it. The node's CNI configuration, of which an old daemon might
// think that it is its own, is compared too; a target that writes none shows
// by that only that the default network's file stays.
func socketTakenOver(ctx context.Context, e *Env) {
	confDir := e.ConfDir
	var options []StartOption
	if e.Supports(FeatureNodeConf) {
		confDir, options = e.CNIConfDir, append(options, NodeConfiguration())
		e.nodeNetwork("10-default.conflist", e.FakeList("default"))
	}
	before := e.Sandbox()
	old := e.Start(ctx, options...)
	var written string
	if e.Supports(FeatureNodeConf) {
		written = e.awaitNodeConf(ctx, "")
		var err error
		e.nodeConfig, _, err = e.nodeConf()
		Expect(err).NotTo(HaveOccurred())
	}
	e.MustOK(e.Add(ctx, before))
	Expect(os.RemoveAll(e.RunDir)).To(Succeed())
	current := e.Start(ctx, options...)
	if e.Supports(FeatureNodeConf) {
		written = e.awaitNodeConf(ctx, written)
		Consistently(func() string { return e.awaitNodeConf(ctx, "") }).WithContext(ctx).WithTimeout(besideEachOther).WithPolling(5*pollInterval).
			Should(Equal(written), "the new daemon's CNI configuration, while the old one still runs")
	}
	socket, configuration := stamps(e.Socket()), stamps(confDir)

	old.Terminate()
	Eventually(old.Done()).WithContext(ctx).WithTimeout(teardownTimeout).Should(BeClosed(),
		func() string { return "the old daemon does not end; its log:\n" + lastLines(old.Log(), 40) })
	Expect(stamps(e.Socket())).To(Equal(socket), "the new daemon's socket, after the old one's end")
	Expect(stamps(confDir)).To(Equal(configuration), "the CNI configuration, after the old daemon's end")
	Expect(current.ended()).To(BeFalse(), "the new daemon runs")
	expectServes(ctx, e)
	e.MustOK(e.Check(ctx, before))
	e.MustOK(e.Del(ctx, before))
}
