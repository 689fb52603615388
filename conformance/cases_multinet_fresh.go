// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func init() {
	register(Case{
		ID: "NET-13", Profile: "multinet", Level: Must, Source: "OPS", Body: definitionsAreFresh, Slow: 5 * time.Second,
		Title: "A definition created or changed a moment before the pod is seen by its ADD",
	})
}

// freshRounds is how often the daemon may be caught behind the cluster.
const freshRounds = 25

// freshLag is how late the daemon's watches are then.
const freshLag = 400 * time.Millisecond

// definitionsAreFresh is NET-13. In every round a definition is made, one is
// changed, one is removed and made again, and their pod's ADD follows at once.
func definitionsAreFresh(ctx context.Context, e *Env) {
	e.Definition("changed", e.FakeList("changed"))
	e.Definition("again", e.FakeList("again"))
	e.Start(ctx)
	if e.Supports(FeatureKubernetes) {
		ginkgo.By("what tells the daemon of changes is late")
		e.api().lag(freshLag)
	}
	for round := range freshRounds {
		made := fmt.Sprintf("made-%d", round)
		revision := Fake{Extra: map[string]any{"revision": round}}
		e.DeleteDefinition("again")
		e.Definition(made, e.FakeList(made, revision))
		e.Definition("changed", e.FakeList("changed", revision))
		e.Definition("again", e.FakeList("again", revision))
		s := e.Sandbox(Networks(made + ",changed,again"))
		e.MustOK(e.Add(ctx, s))
		calls := e.CallsFor("ADD", s)
		Expect(networksOf(calls)).To(Equal([]string{"default", made, "changed", "again"}))
		for _, c := range calls[1:] {
			Expect(c.Config()).To(HaveKeyWithValue("revision", BeEquivalentTo(round)), "the definition %s in round %d", c.Network, round)
		}
		e.MustOK(e.Del(ctx, s))
	}
	if e.Supports(FeatureKubernetes) {
		mirrorPods(ctx, e)
	}
}

// mirrorPods are those of static pods: the kubelet's own id for the pod, which
// the runtime passes on, is in an annotation, and the UID is the API server's.
func mirrorPods(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a static pod, whose mirror has another UID")
	const annotation = "kubernetes.io/config.mirror"
	own, other := randomHex(16), randomHex(16)
	s := e.Sandbox(Annotation(annotation, own), Annotation("kubernetes.io/config.hash", own), Annotation("kubernetes.io/config.source", "file"), Networks("again"))
	s.PodUID = own
	e.MustOK(e.Add(ctx, s))
	stranger := e.Sandbox(Annotation(annotation, own), Annotation("kubernetes.io/config.hash", own))
	stranger.PodUID = other
	_ = expectRefused(e.Add(ctx, stranger))
}
