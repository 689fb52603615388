// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// What the ADD cases look at: the delegates' calls as a story that can be
// compared, and what is left of a request that failed.

// VethFake really makes an interface, so that what a fault leaves is seen in
// the sandbox too.
func VethFake() script.Fake {
	return script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true}}
}

// CallsOfSandbox are the calls of all commands for one sandbox, in the order
// of their start.
func CallsOfSandbox(e *thick.Env, s *node.Sandbox) []script.Call {
	return slices.DeleteFunc(e.Calls(), func(c script.Call) bool { return c.ContainerID != s.ID })
}

// AttachmentCalls are the calls for any container at all: STATUS and GC, which
// a daemon may make when it likes, are not among them.
func AttachmentCalls(e *thick.Env) []script.Call {
	return slices.DeleteFunc(e.Calls(), func(c script.Call) bool { return c.Command == "STATUS" || c.Command == "GC" })
}

// Trace renders calls as "network as interface", for the comparison of orders.
func Trace(calls []script.Call) []string {
	lines := []string{}
	for _, c := range calls {
		lines = append(lines, c.Network+" as "+c.Interface)
	}
	return lines
}

// CallOf matches the calls of a command for one sandbox and network.
func CallOf(s *node.Sandbox, command, network string) func(script.Call) bool {
	return func(c script.Call) bool { return c.ContainerID == s.ID && c.Command == command && c.Network == network }
}

// Refused asserts that a request failed with a CNI error, and returns it.
func Refused(a *thick.Answer) *types.Error {
	ginkgo.GinkgoHelper()
	Expect(a.OK()).To(BeFalse(), "the request was answered with success: %s", a)
	if err := a.Error(); err != nil {
		return err
	}
	return &types.Error{Msg: string(a.Body)}
}

// CNIError is expectRefused for cases that are about the error's form.
func CNIError(a *thick.Answer) *types.Error {
	ginkgo.GinkgoHelper()
	Expect(a.OK()).To(BeFalse(), "the request was answered with success: %s", a)
	err := a.Error()
	Expect(err).NotTo(BeNil(), "there is no CNI error with a code and a msg in the answer %s", a)
	return err
}

// NothingLeft asserts that a failed ADD left nothing. Its network status is
// ADD-18's.
func NothingLeft(e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of an ADD that failed")
}

// NoStatus asserts that the sandbox's pod has no published network status.
func NoStatus(e *thick.Env, s *node.Sandbox, what string) {
	ginkgo.GinkgoHelper()
	Eventually(func() []map[string]any { return e.Status(s) }).WithTimeout(withdrawLimit).WithPolling(node.PollInterval).Should(BeEmpty(), what)
}

// InTime asserts that a request succeeds, and that its answer comes within a limit.
func InTime(ctx context.Context, e *thick.Env, r *api.Request, limit time.Duration, what string) {
	ginkgo.GinkgoHelper()
	limited, cancel := context.WithTimeout(ctx, suite.Patience(limit))
	defer cancel()
	a, err := e.TryPost(limited, api.MultusCNIAPIEndpoint, r)
	Expect(err).NotTo(HaveOccurred(), "the answer, within %s, to %s", limit, what)
	e.MustOK(a)
}

// AwaitAnswer waits for what Env.Async sent.
func AwaitAnswer(outcome <-chan thick.Outcome) *thick.Answer {
	ginkgo.GinkgoHelper()
	var o thick.Outcome
	Eventually(outcome).WithTimeout(20*time.Second).Should(Receive(&o), "no answer")
	Expect(o.Err).NotTo(HaveOccurred())
	return o.Answer
}

// NoOverlap asserts that each call began after the one before had ended.
func NoOverlap(calls []script.Call) {
	ginkgo.GinkgoHelper()
	for i, c := range calls {
		Expect(c.End.IsZero()).To(BeFalse(), "%s of %s was killed", c.Command, PlaceOf(c))
		if i > 0 {
			Expect(c.Start).NotTo(BeTemporally("<", calls[i-1].End), "%s began before %s ended", PlaceOf(c), PlaceOf(calls[i-1]))
		}
	}
}
