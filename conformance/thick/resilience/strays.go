// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var straysCases = []thick.Case{
	{
		ID: "RES-13", Level: spec.Should, Source: "#1527, #1361", Body: straysReported, Slow: 25 * time.Second, Timeout: 180 * time.Second,
		Needs: []spec.Feature{thick.FeatureKubernetes, thick.FeatureRestart, thick.FeatureStrays},
		Title: "A pod of this node that asks for networks and was attached by somebody else is reported by an event, once; one whose ADD is on the way is not",
	},
}

const (
	// strayReported is how long a stray may be unreported: its ADD might be on
	// the way.
	strayReported = 60 * time.Second
	// strayAfter is how much longer others are watched.
	strayAfter = 3 * time.Second
)

// straysReported is RES-13.
func straysReported(ctx context.Context, e *thick.Env) {
	gate := filepath.Join(e.Dir, "gate")
	slow := expect.RealInterface()
	slow.Add.WaitFor = gate
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	e.Definition("slow", e.FakeList("slow", slow))
	d := e.Start(ctx)
	attached := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, attached))
	e.Api().Runs(attached, "192.0.2.1")
	d.Stop(ctx)

	ginkgo.By("pods that ran before the daemon started")
	before := e.Sandbox(node.Networks("blue"))
	e.Api().Runs(before, "192.0.2.2")
	e.Start(ctx)
	awaitWarning(ctx, e, before)

	ginkgo.By("pods that come to run while it is there")
	after, coming, added, onTheWay := e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("slow"))
	plain, hosts := e.Sandbox(), e.NewSandbox(e.Namespace, node.WithoutPod())
	e.Api().MakePod(hosts, map[string]string{"k8s.v1.cni.cncf.io/networks": "blue"}, func(s *corev1.PodSpec) { s.HostNetwork = true })
	e.MustOK(e.Add(ctx, added))
	adding := e.Async(ctx, e.Request("ADD", onTheWay))
	e.AwaitCalls(ctx, 1, expect.CallOf(onTheWay, "ADD", "slow"))
	for _, s := range []*node.Sandbox{added, onTheWay, plain, hosts, after} {
		e.Api().Runs(s, "192.0.2.3")
	}
	awaitWarning(ctx, e, after)
	e.Api().SetAnnotation(ctx, after, "conformance.thicket-cni.io/touched", "yes")
	innocent := map[string]*node.Sandbox{
		"that an earlier daemon attached": attached, "whose ADD has not come": coming, "that is attached": added,
		"whose ADD is being served": onTheWay, "that asks for no networks": plain, "of the host's network": hosts,
	}
	Consistently(func() []string {
		var wrong []string
		for what, s := range innocent {
			for _, warning := range warningsOf(e, s) {
				wrong = append(wrong, "a pod "+what+": "+warning)
			}
		}
		for _, s := range []*node.Sandbox{before, after} {
			if all := warningsOf(e, s); len(all) != 1 {
				wrong = append(wrong, fmt.Sprintf("a pod that somebody else attached has %d warnings", len(all)))
			}
		}
		return wrong
	}).WithContext(ctx).WithTimeout(strayAfter).WithPolling(500*time.Millisecond).Should(BeEmpty(), "warnings that should not be, and those that are not one")
	e.Touch(gate)
	Eventually(adding).WithContext(ctx).WithTimeout(30 * time.Second).Should(Receive())
}

// awaitWarning waits for an event that warns of a sandbox's pod.
func awaitWarning(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	Eventually(func() []string { return warningsOf(e, s) }).WithContext(ctx).WithTimeout(strayReported).WithPolling(200*time.Millisecond).
		ShouldNot(BeEmpty(), "warnings about a pod that asks for networks and was attached by somebody else")
}

// warningsOf lists what the events of a sandbox's pod warn of, one for each time.
func warningsOf(e *thick.Env, s *node.Sandbox) []string {
	ginkgo.GinkgoHelper()
	var all []string
	for _, event := range e.Events(s) {
		for range max(1, event.Count) {
			if event.Type == corev1.EventTypeWarning {
				all = append(all, event.Message)
			}
		}
	}
	return all
}
