// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

const (
	// nodeNetworkFile is the default network's file at first, and
	// otherNetworkFile the one of its successor.
	nodeNetworkFile  = "10-default.conflist"
	otherNetworkFile = "20-other.conflist"
	// confChanges is how often the default network changes under readers' eyes.
	confChanges = 20
	// goneFor is how long it is gone.
	goneFor = time.Second
)

// nodeConfigurationFollowed is RES-08: the default network's file changes,
// disappears and reappears, under its own name and under another one, while
// one daemon runs.
func nodeConfigurationFollowed(ctx context.Context, e *thick.Env) {
	e.NodeNetwork(nodeNetworkFile, nodeList(e, "default", 0))
	d := e.Start(ctx, thick.NodeConfiguration())
	e.AwaitNodeConf(ctx, "")
	expectNodeServes(ctx, e, "default", 0)

	ginkgo.By("it changes")
	reader := e.ReadNodeConf(false)
	for turn := 1; turn <= confChanges; turn++ {
		e.NodeNetwork(nodeNetworkFile, nodeList(e, "default", turn))
		awaitTurn(ctx, e, turn)
	}
	reader.End(e)
	expectNodeServes(ctx, e, "default", confChanges)

	reader = e.ReadNodeConf(true)
	turn := confChanges
	for _, then := range []struct{ file, network string }{
		{nodeNetworkFile, "default"}, {otherNetworkFile, "other"}, {nodeNetworkFile, "default"},
	} {
		turn++
		expectNodeReappears(ctx, e, then.file, then.network, turn)
		Expect(d.Ended()).To(BeFalse(), "the daemon still runs")
	}
	reader.End(e)
}

// nodeList is the default network of a turn: the delegate and the runtime can
// tell it from that of the turn before.
func nodeList(e *thick.Env, network string, turn int) string {
	ginkgo.GinkgoHelper()
	return expect.Versioned(e.FakeList(network,
		script.Fake{Capabilities: map[string]bool{fmt.Sprintf("turn%d", turn): true, "never": false}, Extra: map[string]any{"turn": turn}},
		script.Fake{Capabilities: map[string]bool{"portMappings": true}}), "1.1.0")
}

// awaitTurn waits until the daemon's file declares what the plugins of a
// turn's default network do, both of them.
func awaitTurn(ctx context.Context, e *thick.Env, turn int) {
	ginkgo.GinkgoHelper()
	Eventually(e.NodeCapabilities).WithContext(ctx).WithTimeout(thick.FollowLimit).WithPolling(node.PollInterval).
		Should(Equal([]string{"portMappings", fmt.Sprintf("turn%d", turn)}), "the capabilities that the runtime finds")
}

// expectNodeServes asserts that the shim, with the very file that the daemon
// wrote, attaches a sandbox to a turn's default network and deletes it.
func expectNodeServes(ctx context.Context, e *thick.Env, network string, turn int) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	config, fields, err := e.NodeConf()
	Expect(err).NotTo(HaveOccurred())
	Expect(fields).To(HaveKeyWithValue("type", filepath.Base(e.Target.ShimPath())), "the first plugin of the generated configuration")
	expect.Succeeded(e.Shim(ctx, "ADD", s, thick.ShimConfigBytes(config)))
	expectAttached(e, s, network, turn)
	expect.Succeeded(e.Shim(ctx, "DEL", s, thick.ShimConfigBytes(config)))
	Expect(e.CallsFor("DEL", s)).To(HaveLen(2), "the DELs of the list's two plugins")
}

// expectAttached asserts that ADD ran both plugins of a turn's default network.
func expectAttached(e *thick.Env, s *node.Sandbox, network string, turn int) {
	ginkgo.GinkgoHelper()
	calls := e.CallsFor("ADD", s)
	Expect(node.NetworksOf(calls)).To(Equal([]string{network, network}), "the networks of a sandbox")
	Expect(calls[0].Config()).To(HaveKeyWithValue("turn", BeEquivalentTo(turn)), "the default network's configuration as it is now")
}

// expectGone asserts that the daemon runs on without a default network, after
// it had the time to notice, and goes on saying so.
func expectGone(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	Consistently(func() error {
		if err := e.Probe(ctx, e.RunDir, api.MultusHealthAPIEndpoint); err != nil || !e.Supports(thick.FeatureStatus) {
			return err
		}
		for _, w := range expect.WaysOf(e) {
			switch err := w.Ask(ctx, expect.StatusRequest(e)); {
			case err == nil:
				return fmt.Errorf("STATUS through %s succeeds", w.Name)
			case err.Code != 50:
				return fmt.Errorf("STATUS through %s: %w", w.Name, err)
			}
		}
		return nil
	}).WithContext(ctx).WithTimeout(goneFor).WithPolling(5*node.PollInterval).Should(Succeed(), "while the default network is gone")
}

// expectNodeReappears takes the default network's file away and brings a
// network back: meanwhile STATUS says so, an ADD waits or fails, and sandboxes
// are deleted as they were attached.
func expectNodeReappears(ctx context.Context, e *thick.Env, file, network string, turn int) {
	ginkgo.GinkgoHelper()
	ginkgo.By(fmt.Sprintf("it disappears (turn %d)", turn))
	kept, asked := e.Sandbox(), e.Sandbox()
	e.MustOK(e.Add(ctx, kept))
	attached := e.CallsFor("ADD", kept)
	for _, name := range []string{nodeNetworkFile, otherNetworkFile} {
		Expect(os.RemoveAll(filepath.Join(e.CNIConfDir, name))).To(Succeed())
	}
	if e.Supports(thick.FeatureStatus) {
		for _, w := range expect.WaysOf(e) {
			expect.StatusBecomes(ctx, e, w, 50)
		}
	}
	answer := e.Async(ctx, e.Request("ADD", asked))
	expectGone(ctx, e)
	e.MustOK(e.Del(ctx, kept))
	deleted := e.CallsFor("DEL", kept)
	Expect(deleted).To(HaveLen(len(attached)), "the DELs of a sandbox whose default network is gone")
	Expect(deleted[len(deleted)-1].Config()).To(HaveKeyWithValue("turn", attached[0].Config()["turn"]), "DEL gets what ADD got")
	Expect(e.CallsFor("ADD", asked)).To(BeEmpty(), "delegates of a default network that is gone")

	ginkgo.By("it reappears as " + file)
	e.NodeNetwork(file, nodeList(e, network, turn))
	o := <-answer
	Expect(o.Err).NotTo(HaveOccurred())
	if o.Answer.OK() {
		expectAttached(e, asked, network, turn)
	} else {
		_ = expect.Refused(o.Answer)
	}
	awaitTurn(ctx, e, turn)
	if e.Supports(thick.FeatureReadyz) {
		Eventually(func() error { return e.Probe(ctx, e.RunDir, api.MultusReadyAPIEndpoint) }).WithContext(ctx).
			WithTimeout(thick.FollowLimit).WithPolling(node.PollInterval).Should(Succeed(), "readiness")
	}
	expectNodeServes(ctx, e, network, turn)
}
