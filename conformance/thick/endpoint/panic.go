// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"net/http"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// servedAfterPanic is how long a request may take that follows a panic: a lock
// that was left held would keep it for ever.
const servedAfterPanic = 5 * time.Second

// endpointPanic is EP-13: alone, several at a time, and for what a panic may
// leave: the container's lock, a count of requests that the shutdown waits for.
func endpointPanic(ctx context.Context, e *thick.Env) {
	d := e.Start(ctx)
	bad := e.Sandbox(node.PodName("panic-" + node.RandomHex(4)))
	good := e.Sandbox()
	within := func(r *api.Request) *thick.Answer {
		ginkgo.GinkgoHelper()
		ctx, cancel := context.WithTimeout(ctx, suite.Patience(servedAfterPanic))
		defer cancel()
		return e.Post(ctx, api.MultusCNIAPIEndpoint, r)
	}
	for range 2 {
		expectPanicAnswered(within(e.Request("ADD", bad)))
		e.MustOK(within(e.Request("ADD", good)))
		e.MustOK(within(e.Request("CHECK", good)))
		e.MustOK(within(e.Request("DEL", good)))
	}
	ginkgo.By("several at a time")
	var outcomes []<-chan thick.Outcome
	for range 8 {
		outcomes = append(outcomes, e.Async(ctx, e.Request("ADD", e.Sandbox(node.PodName("panic-"+node.RandomHex(4))))))
	}
	e.MustOK(within(e.Request("ADD", good)))
	for _, o := range outcomes {
		expectPanicAnswered(expect.Answered(ctx, o))
	}
	ginkgo.By("the same container, for another pod: DEL may look up the one that it is about")
	other := e.Sandbox()
	bad.PodName, bad.PodUID = other.PodName, other.PodUID
	e.MustOK(within(e.Request("DEL", bad)))
	expect.NothingLeft(e, bad)
	e.ResetCalls()
	e.MustOK(within(e.Request("ADD", bad)))
	Expect(e.CallsFor("ADD", bad)).To(HaveLen(1), "calls of delegates at ADD")
	e.MustOK(within(e.Request("DEL", bad)))
	e.MustOK(within(e.Request("DEL", good)))
	ginkgo.By("it still shuts down")
	d.Stop(ctx)
}

func expectPanicAnswered(a *thick.Answer) {
	ginkgo.GinkgoHelper()
	Expect(a.Status).To(Equal(http.StatusInternalServerError), "a panic was answered with %s", a)
	expectErrorOnWire(a, "a panic")
}
