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
func nodeConfigurationFollowed(ctx context.Context, e *Env) {
	e.nodeNetwork(nodeNetworkFile, e.nodeList("default", 0))
	d := e.Start(ctx, NodeConfiguration())
	e.awaitNodeConf(ctx, "")
	e.expectNodeServes(ctx, "default", 0)

	ginkgo.By("it changes")
	reader := e.readNodeConf(false)
	for turn := 1; turn <= confChanges; turn++ {
		e.nodeNetwork(nodeNetworkFile, e.nodeList("default", turn))
		e.awaitTurn(ctx, turn)
	}
	reader.end(e)
	e.expectNodeServes(ctx, "default", confChanges)

	reader = e.readNodeConf(true)
	turn := confChanges
	for _, then := range []struct{ file, network string }{
		{nodeNetworkFile, "default"}, {otherNetworkFile, "other"}, {nodeNetworkFile, "default"},
	} {
		turn++
		e.expectNodeReappears(ctx, then.file, then.network, turn)
		Expect(d.ended()).To(BeFalse(), "the daemon still runs")
	}
	reader.end(e)
}

// nodeList is the default network of a turn: the delegate and the runtime can
// tell it from that of the turn before.
func (e *Env) nodeList(network string, turn int) string {
	ginkgo.GinkgoHelper()
	return versioned(e.FakeList(network,
		Fake{Capabilities: map[string]bool{fmt.Sprintf("turn%d", turn): true, "never": false}, Extra: map[string]any{"turn": turn}},
		Fake{Capabilities: map[string]bool{"portMappings": true}}), "1.1.0")
}

// awaitTurn waits until the daemon's file declares what the plugins of a
// turn's default network do, both of them.
func (e *Env) awaitTurn(ctx context.Context, turn int) {
	ginkgo.GinkgoHelper()
	Eventually(e.nodeCapabilities).WithContext(ctx).WithTimeout(followLimit).WithPolling(pollInterval).
		Should(Equal([]string{"portMappings", fmt.Sprintf("turn%d", turn)}), "the capabilities that the runtime finds")
}

// expectNodeServes asserts that the shim, with the very file that the daemon
// wrote, attaches a sandbox to a turn's default network and deletes it.
func (e *Env) expectNodeServes(ctx context.Context, network string, turn int) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	config, fields, err := e.nodeConf()
	Expect(err).NotTo(HaveOccurred())
	Expect(fields).To(HaveKeyWithValue("type", filepath.Base(e.Target.ShimPath())))
	expectSucceeded(e.Shim(ctx, "ADD", s, ShimConfigBytes(config)))
	e.expectAttached(s, network, turn)
	expectSucceeded(e.Shim(ctx, "DEL", s, ShimConfigBytes(config)))
	Expect(e.CallsFor("DEL", s)).To(HaveLen(2), "the DELs of the list's two plugins")
}

// expectAttached asserts that ADD ran both plugins of a turn's default network.
func (e *Env) expectAttached(s *Sandbox, network string, turn int) {
	ginkgo.GinkgoHelper()
	calls := e.CallsFor("ADD", s)
	Expect(networksOf(calls)).To(Equal([]string{network, network}), "the networks of a sandbox")
	Expect(calls[0].Config()).To(HaveKeyWithValue("turn", BeEquivalentTo(turn)), "the default network's configuration as it is now")
}

// expectGone asserts that the daemon runs on without a default network, after
// it had the time to notice, and goes on saying so.
func (e *Env) expectGone(ctx context.Context) {
	ginkgo.GinkgoHelper()
	Consistently(func() error {
		if err := e.probe(ctx, e.RunDir, api.MultusHealthAPIEndpoint); err != nil || !e.Supports(FeatureStatus) {
			return err
		}
		for _, w := range e.ways() {
			switch err := w.ask(ctx, statusRequest(e)); {
			case err == nil:
				return fmt.Errorf("STATUS through %s succeeds", w.name)
			case err.Code != 50:
				return fmt.Errorf("STATUS through %s: %w", w.name, err)
			}
		}
		return nil
	}).WithContext(ctx).WithTimeout(goneFor).WithPolling(5*pollInterval).Should(Succeed(), "while the default network is gone")
}

// expectNodeReappears takes the default network's file away and brings a
// network back: meanwhile STATUS says so, an ADD waits or fails, and sandboxes
// are deleted as they were attached.
func (e *Env) expectNodeReappears(ctx context.Context, file, network string, turn int) {
	ginkgo.GinkgoHelper()
	ginkgo.By(fmt.Sprintf("it disappears (turn %d)", turn))
	kept, asked := e.Sandbox(), e.Sandbox()
	e.MustOK(e.Add(ctx, kept))
	attached := e.CallsFor("ADD", kept)
	for _, name := range []string{nodeNetworkFile, otherNetworkFile} {
		Expect(os.RemoveAll(filepath.Join(e.CNIConfDir, name))).To(Succeed())
	}
	if e.Supports(FeatureStatus) {
		for _, w := range e.ways() {
			expectStatusBecomes(ctx, e, w, 50)
		}
	}
	answer := e.Async(ctx, e.Request("ADD", asked))
	e.expectGone(ctx)
	e.MustOK(e.Del(ctx, kept))
	deleted := e.CallsFor("DEL", kept)
	Expect(deleted).To(HaveLen(len(attached)), "the DELs of a sandbox whose default network is gone")
	Expect(deleted[len(deleted)-1].Config()).To(HaveKeyWithValue("turn", attached[0].Config()["turn"]), "DEL gets what ADD got")
	Expect(e.CallsFor("ADD", asked)).To(BeEmpty(), "delegates of a default network that is gone")

	ginkgo.By("it reappears as " + file)
	e.nodeNetwork(file, e.nodeList(network, turn))
	o := <-answer
	Expect(o.Err).NotTo(HaveOccurred())
	if o.Answer.OK() {
		e.expectAttached(asked, network, turn)
	} else {
		_ = expectRefused(o.Answer)
	}
	e.awaitTurn(ctx, turn)
	if e.Supports(FeatureReadyz) {
		Eventually(func() error { return e.probe(ctx, e.RunDir, api.MultusReadyAPIEndpoint) }).WithContext(ctx).
			WithTimeout(followLimit).WithPolling(pollInterval).Should(Succeed(), "readiness")
	}
	e.expectNodeServes(ctx, network, turn)
}
