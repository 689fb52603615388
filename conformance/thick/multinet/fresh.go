// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var freshCases = []thick.Case{
	{
		ID: "NET-13", Level: spec.Must, Source: "OPS", Body: definitionsAreFresh, Slow: 5 * time.Second,
		Title: "A definition created or changed a moment before the pod is seen by its ADD",
	},
	{
		ID: "NET-29", Level: spec.Should, Source: "seen: a pod that is there before its definition", Body: definitionAfterPod,
		Needs: []spec.Feature{thick.FeatureKubernetes},
		Title: "A definition created after its pod, a moment before the ADD, is seen by it",
	},
}

// freshRounds is how often the daemon may be caught behind the cluster.
const freshRounds = 25

// freshLag is how late the daemon's watches are then.
const freshLag = 400 * time.Millisecond

// definitionsAreFresh is NET-13. In every round a definition is made, one is
// changed, one is removed and made again, and their pod's ADD follows at once.
func definitionsAreFresh(ctx context.Context, e *thick.Env) {
	e.Definition("changed", e.FakeList("changed"))
	e.Definition("again", e.FakeList("again"))
	e.Start(ctx)
	if e.Supports(thick.FeatureKubernetes) {
		ginkgo.By("what tells the daemon of changes is late")
		e.Api().Lag(freshLag)
	}
	for round := range freshRounds {
		made := fmt.Sprintf("made-%d", round)
		revision := script.Fake{Extra: map[string]any{"revision": round}}
		e.DeleteDefinition("again")
		e.Definition(made, e.FakeList(made, revision))
		e.Definition("changed", e.FakeList("changed", revision))
		e.Definition("again", e.FakeList("again", revision))
		s := e.Sandbox(node.Networks(made + ",changed,again"))
		e.MustOK(e.Add(ctx, s))
		calls := e.CallsFor("ADD", s)
		Expect(node.NetworksOf(calls)).To(Equal([]string{"default", made, "changed", "again"}), "networks whose delegates were called")
		for _, c := range calls[1:] {
			Expect(c.Config()).To(HaveKeyWithValue("revision", BeEquivalentTo(round)), "the definition %s in round %d", c.Network, round)
		}
		e.MustOK(e.Del(ctx, s))
	}
	if e.Supports(thick.FeatureKubernetes) {
		mirrorPods(ctx, e)
	}
}

// definitionAfterPod is NET-29: a user repairs a pod that waits for a definition.
// The daemon knows the pod by then, and can know the definition by asking alone.
func definitionAfterPod(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	s := e.Sandbox(node.Networks("late"))
	e.Definition("between", e.FakeList("between"))
	other := e.Sandbox(node.Networks("between"))
	e.MustOK(e.Add(ctx, other))
	e.MustOK(e.Del(ctx, other))
	ginkgo.By("what tells the daemon of changes is late")
	e.Api().Lag(freshLag)
	e.Definition("late", e.FakeList("late"))
	e.MustOK(e.Add(ctx, s))
	Expect(node.NetworksOf(e.CallsFor("ADD", s))).To(Equal([]string{"default", "late"}), "networks whose delegates were called")
	e.MustOK(e.Del(ctx, s))
}

// mirrorPods are those of static pods: the kubelet's own id for the pod, which
// the runtime passes on, is in an annotation, and the UID is the API server's.
func mirrorPods(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a static pod, whose mirror has another UID")
	const annotation = "kubernetes.io/config.mirror"
	own, other := node.RandomHex(16), node.RandomHex(16)
	s := e.Sandbox(node.Annotation(annotation, own), node.Annotation("kubernetes.io/config.hash", own), node.Annotation("kubernetes.io/config.source", "file"), node.Networks("again"))
	s.PodUID = own
	e.MustOK(e.Add(ctx, s))
	stranger := e.Sandbox(node.Annotation(annotation, own), node.Annotation("kubernetes.io/config.hash", own))
	stranger.PodUID = other
	_ = expect.Refused(e.Add(ctx, stranger))
}
