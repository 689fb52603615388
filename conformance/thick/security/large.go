// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var largeCases = []thick.Case{
	{
		ID: "SEC-06", Level: spec.Must, Source: "seen: 40 definitions of 1 MB that no pod uses ended a daemon in 50 MiB",
		Needs: []spec.Feature{thick.FeatureProcess, thick.FeatureRestart}, Body: largeDefinitions,
		Slow: 60 * time.Second, Timeout: 480 * time.Second,
		Title: "Network definitions and annotations of any size and number end neither the daemon in its memory limit nor its service to others",
	},
}

const (
	// largeMemory is the memory limit of daemon and delegates together, in bytes.
	largeMemory = 50 << 20
	// largeSize is about what an API server accepts of one object, in bytes.
	largeSize = 1 << 20
	// largeCount is how many of that size there are.
	largeCount = 40
)

// largeDefinitions is SEC-06.
func largeDefinitions(ctx context.Context, e *thick.Env) {
	w := newLargeWorld(ctx, e)
	w.small(ctx, "as it was started")
	w.counts(ctx)
	w.sizes(ctx)
	w.failing(ctx)
	if e.Supports(thick.FeatureKubernetes) {
		w.many(ctx)
	}
	w.expectAlive()
}

// largeWorld is a daemon within its memory limit.
type largeWorld struct {
	e     *thick.Env
	group *suite.Cgroup
	d     *thick.Daemon
}

func newLargeWorld(ctx context.Context, e *thick.Env, options ...thick.StartOption) *largeWorld {
	ginkgo.GinkgoHelper()
	group, err := suite.NewCgroup(e.WorkDir(), largeMemory)
	if err != nil {
		e.Skipf("a memory cgroup cannot be made here: %v; run the suite as root where one can", err)
	}
	w := &largeWorld{e: e, group: group}
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("small", e.FakeList("small", expect.VethFake()))
	w.start(ctx, options...)
	return w
}

func (w *largeWorld) start(ctx context.Context, options ...thick.StartOption) {
	ginkgo.GinkgoHelper()
	// The suite is in the cgroup for a moment only: it would be killed in the
	// daemon's place.
	Expect(w.group.With(func() { w.d = w.e.Start(ctx, append(options, thick.WithoutWaiting())...) })).To(Succeed())
	w.e.AwaitServing(ctx, w.d)
}

// expectAlive asserts that nobody was killed for want of memory.
func (w *largeWorld) expectAlive() {
	ginkgo.GinkgoHelper()
	Expect(w.d.Ended()).To(BeFalse(), "the daemon ended; its log:\n%s", spec.LastLines(w.d.Log(), 20))
	killed, err := w.group.Killed()
	Expect(err).NotTo(HaveOccurred())
	Expect(killed).To(BeZero(), "processes that the kernel killed for want of memory")
}

// small is another pod, which asks for nothing large.
func (w *largeWorld) small(ctx context.Context, when string) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a small pod " + when)
	s := w.e.Sandbox(node.Networks("small"))
	w.e.MustOK(w.e.Add(ctx, s))
	w.e.MustOK(w.e.Check(ctx, s))
	w.e.MustOK(w.e.Del(ctx, s))
}

// add attaches a pod that asks for too much. No answer at all is the daemon's end.
func (w *largeWorld) add(ctx context.Context, s *node.Sandbox, what string) *thick.Answer {
	ginkgo.GinkgoHelper()
	a, err := w.e.TryPost(ctx, "/cni", w.e.Request("ADD", s))
	w.expectAlive()
	Expect(err).NotTo(HaveOccurred(), "ADD with %s", what)
	return a
}

// expectLimit asserts that an answer names a limit, with code 7.
func expectLimit(a *thick.Answer, what string) {
	ginkgo.GinkgoHelper()
	err := expect.CNIError(a)
	Expect(err.Code).To(Equal(uint(7)), "ADD with %s: %v", what, err)
	Expect(err.Error()).To(MatchRegexp(`(?i)limit|at most|too (many|large|long|big)|exceed|more than`), "the error names the limit")
}

// counts asks for very much of what costs little each.
func (w *largeWorld) counts(ctx context.Context) {
	ginkgo.GinkgoHelper()
	const many = 20000
	plugins := `{"cniVersion":"1.0.0","name":"plugins","plugins":[` + strings.Repeat(`{"type":"fake"},`, many) + `{"type":"fake"}]}`
	w.e.Definition("plugins", plugins)
	for what, annotation := range map[string]string{
		"20,000 selections":         strings.Repeat("small,", many) + "small",
		"15,000 selections in JSON": `[` + strings.Repeat(`{"name":"small"},`, 15000) + `{"name":"small"}]`,
		"20,000 plugins":            "plugins",
	} {
		ginkgo.By(what)
		s := w.e.Sandbox(node.Networks(annotation))
		expectLimit(w.add(ctx, s, what), what)
		Expect(w.e.CallsFor("ADD", s)).To(BeEmpty(), "delegates of a pod with %s", what)
		w.e.MustOK(w.e.Del(ctx, s))
	}
	w.small(ctx, "beside them")
}

// padded is a network whose configuration has about so many bytes.
func padded(e *thick.Env, name, key string, value any) string {
	ginkgo.GinkgoHelper()
	f := expect.VethFake()
	f.Extra = map[string]any{key: value}
	return e.FakeList(name, f)
}

// sizes asks for few things that are large. Whether they are too large is the
// daemon's to say; what it accepts it serves, up to DEL.
func (w *largeWorld) sizes(ctx context.Context) {
	ginkgo.GinkgoHelper()
	hollow := make([]struct{}, largeSize/3)
	w.e.Definition("large", padded(w.e, "large", "comment", strings.Repeat("c", largeSize)))
	w.e.Definition("hollow", padded(w.e, "hollow", "objects", hollow))
	for _, what := range []string{"large", "hollow", strings.Repeat("large,", 9) + "large", strings.Repeat("hollow,", 9) + "hollow"} {
		ginkgo.By("selections: " + what)
		s := w.e.Sandbox(node.Networks(what))
		w.served(ctx, s, w.add(ctx, s, what), what)
	}
	ginkgo.By("four large pods at once")
	var pods []*node.Sandbox
	var flying []<-chan thick.Outcome
	for range 4 {
		s := w.e.Sandbox(node.Networks("large,hollow"))
		pods = append(pods, s)
		flying = append(flying, w.e.Async(ctx, w.e.Request("ADD", s)))
	}
	w.small(ctx, "beside four large ones")
	for i, s := range pods {
		o := expect.AwaitAnswer(flying[i])
		w.served(ctx, s, o, "large,hollow")
	}
}

// served asserts that an ADD was done or refused by a limit, and that DEL leaves nothing.
func (w *largeWorld) served(ctx context.Context, s *node.Sandbox, a *thick.Answer, what string) {
	ginkgo.GinkgoHelper()
	if !a.OK() {
		expectLimit(a, what)
	}
	w.e.MustOK(w.e.Del(ctx, s))
	Expect(w.e.Leftovers(s)).To(BeEmpty(), "after DEL of a pod with %s", what)
}

const (
	// failedPods is how many pods come whose ADD fails.
	failedPods = 220
	// failedAnnotation is the length of their annotation, near what an API server
	// accepts of a pod, in bytes.
	failedAnnotation = 240 << 10
)

// failing has pods come and go whose ADD fails, with long annotations and long
// errors: what a daemon remembers of each, once it is deleted, adds up.
func (w *largeWorld) failing(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By(fmt.Sprintf("%d pods with %d bytes of annotation, whose ADD fails at length", failedPods, failedAnnotation))
	w.e.Definition("failing", talkative(w.e, "letters", "x"))
	space := w.e.Sandbox()
	for range failedPods {
		s := w.e.Sandbox(node.WithoutNetns(), node.Networks(`[{"name":"failing"}`+strings.Repeat(" ", failedAnnotation)+`]`))
		s.Netns = space.Netns
		a := w.add(ctx, s, "a network whose plugin fails")
		Expect(a.OK()).To(BeFalse(), "ADD with a plugin that fails: %s", a)
		w.e.MustOK(w.e.Del(ctx, s))
		w.e.DeletePod(s)
	}
	Expect(space.InterfaceNames()).To(BeEmpty(), "interfaces of ADDs that failed")
	w.small(ctx, "after pods whose ADD failed")
}

// older starts the daemon with an API server that streams no lists.
func (w *largeWorld) older(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By("an API server that streams no lists, such as one before Kubernetes 1.32")
	w.d.Stop(ctx)
	w.e.Api().Older(true)
	defer w.e.Api().Older(false)
	w.start(ctx)
	w.small(ctx, "beside definitions that an older API server has")
	s := w.e.Sandbox(node.Networks("unused-8"))
	w.served(ctx, s, w.add(ctx, s, "a large definition of an older API server"), "a large definition of an older API server")
	w.expectAlive()
}

// many has definitions, and pods of the node with long annotations, that nobody
// attaches, before the daemon starts and while it runs.
func (w *largeWorld) many(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By(fmt.Sprintf("%d definitions of %d bytes, and pods with long annotations", largeCount, largeSize))
	for i := range largeCount {
		name := fmt.Sprintf("unused-%d", i)
		w.e.Definition(name, padded(w.e, name, "comment", strings.Repeat("c", largeSize)))
		w.e.Sandbox(node.WithoutNetns(), node.Networks(strings.Repeat("unused,", 30000)+"unused"))
	}
	w.small(ctx, "beside definitions that came while the daemon ran")
	w.d.Stop(ctx)
	w.start(ctx)
	w.small(ctx, "beside definitions that were there when the daemon started")
	s := w.e.Sandbox(node.Networks("unused-7"))
	w.served(ctx, s, w.add(ctx, s, "a large definition"), "a large definition")
	w.older(ctx)
	peak, err := w.group.Peak()
	Expect(err).NotTo(HaveOccurred())
	w.e.Notef("%d definitions of %d bytes, %d pods with 200 KiB of annotations: memory %.1f of %d MiB at most", largeCount, largeSize, largeCount,
		float64(peak)/(1<<20), largeMemory>>20)
}
