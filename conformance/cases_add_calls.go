// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What the ADD cases look at: the delegates' calls as a story that can be
// compared, and what is left of a request that failed.

// vethFake really makes an interface, so that what a fault leaves is seen in
// the sandbox too.
func vethFake() Fake { return Fake{Add: FakeStep{Veth: true}, Del: FakeStep{Veth: true}} }

// callsOfSandbox are the calls of all commands for one sandbox, in the order
// of their start.
func callsOfSandbox(e *Env, s *Sandbox) []Call {
	return slices.DeleteFunc(e.Calls(), func(c Call) bool { return c.ContainerID != s.ID })
}

// attachmentCalls are the calls for any container at all: STATUS and GC, which
// a daemon may make when it likes, are not among them.
func attachmentCalls(e *Env) []Call {
	return slices.DeleteFunc(e.Calls(), func(c Call) bool { return c.Command == "STATUS" || c.Command == "GC" })
}

// trace renders calls as "network as interface", for the comparison of orders.
func trace(calls []Call) []string {
	lines := []string{}
	for _, c := range calls {
		lines = append(lines, c.Network+" as "+c.Interface)
	}
	return lines
}

// callOf matches the calls of a command for one sandbox and network.
func callOf(s *Sandbox, command, network string) func(Call) bool {
	return func(c Call) bool { return c.ContainerID == s.ID && c.Command == command && c.Network == network }
}

// expectOneAfterAnother asserts that each call ended before the next began.
func expectOneAfterAnother(calls []Call) {
	ginkgo.GinkgoHelper()
	for i, c := range calls {
		Expect(c.End.IsZero()).To(BeFalse(), "%s of %s as %s was cut off", c.Command, c.Network, c.Interface)
		if i > 0 {
			before := calls[i-1]
			Expect(c.Start).NotTo(BeTemporally("<", before.End), "%s of %s as %s began while %s of %s as %s still ran",
				c.Command, c.Network, c.Interface, before.Command, before.Network, before.Interface)
		}
	}
}

// expectRefused asserts that a request failed with a CNI error, and returns it.
func expectRefused(a *Answer) *types.Error {
	ginkgo.GinkgoHelper()
	Expect(a.OK()).To(BeFalse(), "the request was answered with success: %s", a)
	if err := a.Error(); err != nil {
		return err
	}
	return &types.Error{Msg: string(a.Body)}
}

// expectCNIError is expectRefused for cases that are about the error's form.
func expectCNIError(a *Answer) *types.Error {
	ginkgo.GinkgoHelper()
	Expect(a.OK()).To(BeFalse(), "the request was answered with success: %s", a)
	err := a.Error()
	Expect(err).NotTo(BeNil(), "there is no CNI error with a code and a msg in the answer %s", a)
	return err
}

// expectNothingLeft asserts that a failed ADD left no interface, no record and
// no status.
func expectNothingLeft(e *Env, s *Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of an ADD that failed")
	expectNoStatus(e, s, "the network status of an ADD that failed")
}

// withdrawLimit is how long a pod may show the status of a sandbox that is
// gone: neither DEL nor a rollback has to wait for an API server.
const withdrawLimit = 10 * time.Second

func expectNoStatus(e *Env, s *Sandbox, what string) {
	ginkgo.GinkgoHelper()
	Eventually(func() []map[string]any { return e.Status(s) }).WithTimeout(withdrawLimit).WithPolling(pollInterval).Should(BeEmpty(), what)
}

// answered waits for what Env.Async sent.
func answered(outcome <-chan Outcome) *Answer {
	ginkgo.GinkgoHelper()
	var o Outcome
	Eventually(outcome).WithTimeout(20*time.Second).Should(Receive(&o), "no answer")
	Expect(o.Err).NotTo(HaveOccurred())
	return o.Answer
}
