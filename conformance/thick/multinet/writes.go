// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var writesCases = []thick.Case{
	{
		ID: "NET-10", Level: spec.Must, Source: "OPS", Needs: []spec.Feature{thick.FeatureKubernetes}, Body: statusInOneWrite, Slow: 5 * time.Second,
		Title: "The status is written with one API write per ADD, and survives a concurrent writer of other annotations",
	},
}

// rivals are the sandboxes whose pods somebody else annotates meanwhile.
const rivals = 10

// statusInOneWrite is NET-10, with three networks per sandbox.
func statusInOneWrite(ctx context.Context, e *thick.Env) {
	for _, name := range []string{"alpha", "beta"} {
		e.Definition(name, e.FakeList(name))
	}
	e.Start(ctx)
	var quiet, contended []*node.Sandbox
	for range 3 {
		quiet = append(quiet, e.Sandbox(node.Networks("alpha,beta")))
	}
	for range rivals {
		contended = append(contended, e.Sandbox(node.Networks("alpha,beta")))
	}
	gone := expect.Warm(ctx, e, "alpha,beta")

	ginkgo.By("one ADD is one write and no read")
	for _, s := range quiet {
		asked := slices.DeleteFunc(expect.RequestsDuring(e, func() { e.MustOK(e.Add(ctx, s)) }), gone)
		Expect(asked).To(HaveExactElements(HaveField("Name", s.PodName)), "what ADD asks of the API server")
		Expect(asked[0].IsWrite()).To(BeTrue(), "what ADD asks of the API server is %+v", asked[0])
		expect.Published(e, s, 3)
	}
	ginkgo.By("and nothing follows later")
	seen := len(e.APIRequests())
	Consistently(func() []kube.APIRequest { return slices.DeleteFunc(expect.WithoutEvents(e.APIRequests()[seen:]), gone) }).WithContext(ctx).
		WithTimeout(700*time.Millisecond).Should(BeEmpty(), "requests to the API server")

	ginkgo.By("somebody else writes annotations all the time")
	asked := expect.RequestsDuring(e, func() { addBesideWriters(ctx, e, contended) })
	for _, s := range contended {
		own := slices.DeleteFunc(slices.Clone(asked), func(r kube.APIRequest) bool { return r.Name != s.PodName })
		Expect(own).To(HaveLen(1), "what ADD asks of the API server while the pod changes")
	}

	ginkgo.By("an API server that answers a patch with a conflict, though the pod is the same")
	s := e.Sandbox(node.Networks("alpha,beta"))
	expect.Warm(ctx, e, "alpha,beta")
	e.Api().Conflicts(2)
	e.MustOK(e.Add(ctx, s))
	Eventually(func() int { return len(e.Status(s)) }).WithContext(ctx).WithTimeout(statusAfterConflict).
		Should(Equal(3), "elements of network-status after conflicts")
	e.Api().Conflicts(0)
	e.MustOK(e.Del(ctx, s))
}

// statusAfterConflict is how long a status may be missing that the API server did
// not take at first.
const statusAfterConflict = 20 * time.Second

// addBesideWriters adds all sandboxes, each while another client gives its pod
// one annotation after the other, and asserts that all of these are there in
// the end, and the status.
func addBesideWriters(ctx context.Context, e *thick.Env, all []*node.Sandbox) {
	ginkgo.GinkgoHelper()
	// Two at a time: a rival has to get its turns while an ADD runs.
	turns := make(chan struct{}, 2)
	var rivals sync.WaitGroup
	for _, s := range all {
		rivals.Go(func() {
			defer ginkgo.GinkgoRecover()
			turns <- struct{}{}
			defer func() { <-turns }()
			outcome := e.Async(ctx, e.Request("ADD", s))
			want, answer := annotateUntil(ctx, e, s, outcome)
			e.MustOK(answer)
			annotations := e.Api().Annotations(s)
			for key, value := range want {
				Expect(annotations).To(HaveKeyWithValue(key, value), "an annotation that somebody else wrote during ADD")
			}
			Eventually(func() int { return len(e.Status(s)) }).WithContext(ctx).WithTimeout(statusAfterConflict).
				Should(Equal(3), "elements of the status beside %d annotations of somebody else", len(want))
		})
	}
	rivals.Wait()
}

// annotateUntil gives a sandbox's pod one annotation after the other until the
// ADD is answered; it returns them and the answer.
func annotateUntil(ctx context.Context, e *thick.Env, s *node.Sandbox, outcome <-chan thick.Outcome) (map[string]string, *thick.Answer) {
	ginkgo.GinkgoHelper()
	want := map[string]string{}
	for i := 0; ; i++ {
		key, value := fmt.Sprintf("rival.example.com/n%d", i%100), fmt.Sprint(i)
		e.Api().SetAnnotation(ctx, s, key, value)
		want[key] = value
		select {
		case o := <-outcome:
			Expect(o.Err).NotTo(HaveOccurred())
			return want, o.Answer
		default:
		}
	}
}
