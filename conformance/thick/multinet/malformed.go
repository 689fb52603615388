// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// malformed are selections that cannot be meant, and the part that the msg has
// to quote.
var malformed = []struct{ annotation, part string }{
	{"Alpha", "Alpha"},
	{"alpha_1", "alpha_1"},
	{"-alpha", "-alpha"},
	{"alpha beta", "alpha beta"},
	{"alpha,bet!a", "bet!a"},
	{"one/two/three", "two/three"},
	{"../alpha", ".."},
	{"Upper/alpha", "Upper"},
	{"alpha@sixteen-letters-", "sixteen-letters-"},
	{"alpha@with/slash", "alpha@with"},
	{"own/alpha@with/slash", "with/slash"},
	{"alpha@with space", "with space"},
	{"alpha@..", ".."},
	{`[{"name":"alpha","mac":"02:11:22:33:44"}]`, "02:11:22:33:44"},
	{`[{"name":"alpha","mac":"no-mac"}]`, "no-mac"},
	{`[{"name":"alpha","ips":["10.9.8.7/24","10.9.8/24"]}]`, "10.9.8/24"},
	{`[{"name":"alpha","ips":["10.9.8.7/33"]}]`, "10.9.8.7/33"},
	{`[{"name":"alpha","ips":["somewhere"]}]`, "somewhere"},
	{`[{"name":"alpha","infiniband-guid":"c2:zz"}]`, "c2:zz"},
	{`[{"name":"alpha","default-route":["gate.example"]}]`, "gate.example"},
	{`[{"name":"alpha","interface":"with space"}]`, "with space"},
	{`[{"name":"al/pha"}]`, "al/pha"},
	{`[{"name":"alpha","namespace":"No"}]`, "No"},
	{`[{"name":"alpha"},{"namespace":"lonely"}]`, "lonely"},
	{`[{"name":"alpha"},{"name":"broken"`, "broken"},
	{`[{"name":"alpha"},{"name":"comma",}]`, "comma"},
	{`{"name":"unlisted"}`, "unlisted"},
	{`[{"name":"alpha","ips":"10.9.8.7/24"}]`, "ips"},
	{`["text"]`, "text"},
}

// malformedSelections is NET-07: nothing is guessed, and whoever reads the
// pod's events finds the mistake.
func malformedSelections(ctx context.Context, e *thick.Env) {
	e.Definition("alpha", e.FakeList("alpha", expect.VethFake()))
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Start(ctx)
	for _, m := range malformed {
		ginkgo.By("networks: " + m.annotation)
		s := e.Sandbox(node.Networks(m.annotation))
		answer := e.Add(ctx, s)
		Expect(answer.OK()).To(BeFalse(), "ADD with networks: %s succeeds: %s", m.annotation, answer)
		err := expect.Refused(answer)
		Expect(err.Msg+" "+err.Details).To(ContainSubstring(m.part), "networks: %s: the part at fault in code %d", m.annotation, err.Code)
		expect.NothingLeft(e, s)
	}
	ginkgo.By("a pod beside them")
	e.MustOK(e.Add(ctx, e.Sandbox(node.Networks("alpha"))))
}
