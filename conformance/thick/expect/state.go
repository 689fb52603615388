// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// Checked asserts that CHECK succeeds and reaches every plugin of what
// ADD attached, in ADD's order and with its parameters.
func Checked(ctx context.Context, e *thick.Env, s *node.Sandbox, r *api.Request) []script.Call {
	ginkgo.GinkgoHelper()
	before := len(e.CallsFor("CHECK", s))
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, r))
	checked := e.CallsFor("CHECK", s)[before:]
	Expect(PlacesOf(checked)).To(Equal(PlacesOf(e.CallsFor("ADD", s))), "delegates that were called at CHECK, in order")
	ParametersOfAdd(e, s, checked)
	return checked
}

// CheckFails asserts that CHECK of the sandbox fails with this CNI error.
func CheckFails(ctx context.Context, e *thick.Env, s *node.Sandbox, want *types.Error) {
	ginkgo.GinkgoHelper()
	a := e.Check(ctx, s)
	Expect(a.OK()).To(BeFalse(), "CHECK succeeds though a delegate failed")
	Expect(a.Error()).To(Equal(want), "the delegate's own error; the answer is %s", a)
}

// state is what a CHECK must leave alone.
type state struct {
	Interfaces []node.Interface
	// Records are what the target's own command says, where it has one.
	Records []string
	Status  []map[string]any
}

// StateOf looks at what a command that changes nothing must not change.
func StateOf(e *thick.Env, s *node.Sandbox) state {
	ginkgo.GinkgoHelper()
	return state{Interfaces: s.Interfaces(), Records: e.RecordsOf(s), Status: e.Status(s)}
}

// Untouched asserts that a sandbox is as it was before GC, that no
// delegate was told otherwise, and that CHECK finds all of its attachments.
func Untouched(ctx context.Context, e *thick.Env, s *node.Sandbox, before state) {
	ginkgo.GinkgoHelper()
	Expect(PlacesOf(e.CallsFor("DEL", s))).To(BeEmpty(), "DEL of what GC must keep")
	Expect(StateOf(e, s)).To(Equal(before), "what GC must keep")
	Checked(ctx, e, s, e.Request("CHECK", s))
}
