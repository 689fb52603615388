// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"context"
	"fmt"
	"os"
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

// socketSecondRefused is SOCK-10: beside a daemon that is working on a
// request, by another path to the same directory, and when both start at once.
func socketSecondRefused(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	gate := filepath.Join(e.Dir, "gate")
	e.Definition("held", e.FakeList("held", script.Fake{Add: script.FakeStep{WaitFor: gate}}))
	first := e.Start(ctx)
	attached, waiting := e.Sandbox(), e.Sandbox(node.Networks("held"))
	e.MustOK(e.Add(ctx, attached))
	answer := e.Async(ctx, e.Request("ADD", waiting))
	e.AwaitCalls(ctx, 1, expect.CallIn("held", "ADD", waiting))
	before := expect.Stamps(e.Socket())

	alias := filepath.Join(e.Dir, "alias")
	Expect(os.Symlink(e.Dir, alias)).To(Succeed())
	for _, runDir := range []string{e.RunDir, filepath.Join(alias, filepath.Base(e.RunDir))} {
		ginkgo.By("a second daemon on " + runDir)
		Expect(e.StartRefused(ctx, thick.RunDir(runDir))).To(ContainSubstring(runDir), "the daemon must say why it does not start")
		Expect(expect.Stamps(e.Socket())).To(Equal(before), "the first daemon's socket")
		expect.ReadyNow(ctx, api.CheckAPIReadyNow, e.RunDir, "the first daemon, beside the second")
	}

	e.Touch(gate)
	expect.Answered(ctx, answer).Result()
	for _, s := range []*node.Sandbox{attached, waiting} {
		Expect(e.CallsFor("DEL", s)).To(BeEmpty(), "DELs of delegates that nobody asked for")
		e.MustOK(e.Check(ctx, s))
		e.MustOK(e.Del(ctx, s))
	}
	Expect(first.Ended()).To(BeFalse(), "the first daemon still runs")
	first.Stop(ctx)
	for range 4 {
		expectOneOfTwo(ctx, e)
	}
}

// expectOneOfTwo starts two daemons at once: one serves, the other refuses. A
// stale socket tempts both to remove what lies at the path.
func expectOneOfTwo(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("two daemons that start at once")
	Expect(os.RemoveAll(e.Socket())).To(Succeed())
	expect.StaleSocket(e.Socket())
	winner, loser := e.Start(ctx, thick.WithoutWaiting()), e.Start(ctx, thick.WithoutWaiting())
	Eventually(func() bool { return winner.Ended() || loser.Ended() }).WithContext(ctx).
		WithTimeout(thick.RefusalTimeout).WithPolling(node.PollInterval).Should(BeTrue(), "one of the two must refuse to start")
	if winner.Ended() {
		winner, loser = loser, winner
	}
	Expect(loser.ExitCode()).NotTo(BeZero(), "a daemon that refuses to start must end with failure; its log:\n%s", loser.Log())
	Eventually(func() error { return e.Probe(ctx, e.RunDir, api.MultusHealthAPIEndpoint) }).WithContext(ctx).
		WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).Should(Succeed(),
		func() string {
			return fmt.Sprintf("the other must serve; its log:\n%s", spec.LastLines(winner.Log(), 40))
		})
	expect.Serves(ctx, e)
	Expect(winner.Ended()).To(BeFalse(), "the daemon that serves")
	winner.Stop(ctx)
}

// besideEachOther is how long the old daemon and the new one run at once: long
// enough for one that thinks its file was tampered with to put it back.
const besideEachOther = 2 * time.Second

// socketTakenOver is SOCK-11. The run directory goes away under the old daemon
// as it does when a newly installed plugin clears it, so that the new one can
// start beside it. The node's CNI configuration, of which an old daemon might
// think that it is its own, is compared too; a target that writes none shows
// by that only that the default network's file stays.
func socketTakenOver(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	confDir := e.ConfDir
	var options []thick.StartOption
	if e.Supports(thick.FeatureNodeConf) {
		confDir, options = e.CNIConfDir, append(options, thick.NodeConfiguration())
		e.NodeNetwork("10-default.conflist", e.FakeList("default"))
	}
	before := e.Sandbox()
	old := e.Start(ctx, options...)
	var written string
	if e.Supports(thick.FeatureNodeConf) {
		written = e.AwaitNodeConf(ctx, "")
		var err error
		e.NodeConfig, _, err = e.NodeConf()
		Expect(err).NotTo(HaveOccurred())
	}
	e.MustOK(e.Add(ctx, before))
	Expect(os.RemoveAll(e.RunDir)).To(Succeed())
	current := e.Start(ctx, options...)
	if e.Supports(thick.FeatureNodeConf) {
		written = e.AwaitNodeConf(ctx, written)
		Consistently(func() string { return e.AwaitNodeConf(ctx, "") }).WithContext(ctx).WithTimeout(besideEachOther).WithPolling(5*node.PollInterval).
			Should(Equal(written), "the new daemon's CNI configuration, while the old one still runs")
	}
	socket, configuration := expect.Stamps(e.Socket()), expect.Stamps(confDir)

	old.Terminate()
	Eventually(old.Done()).WithContext(ctx).WithTimeout(thick.TeardownTimeout).Should(BeClosed(),
		func() string { return "the old daemon does not end; its log:\n" + spec.LastLines(old.Log(), 40) })
	Expect(expect.Stamps(e.Socket())).To(Equal(socket), "the new daemon's socket, after the old one's end")
	Expect(expect.Stamps(confDir)).To(Equal(configuration), "the CNI configuration, after the old daemon's end")
	Expect(current.Ended()).To(BeFalse(), "the new daemon runs")
	expect.Serves(ctx, e)
	e.MustOK(e.Check(ctx, before))
	e.MustOK(e.Del(ctx, before))
}
