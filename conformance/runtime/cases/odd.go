// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/fakes/script"
)

var oddCases = []runtime.Case{
	{ID: "RT-30", Level: spec.Should, Source: "OPS", Body: oddAnswers, Slow: time.Minute, Timeout: 3 * time.Minute,
		Title: "A plugin that hangs, prints garbage or 100 MiB, or answers in another version fails the ADD in bounded time and memory"},
}

const (
	// hangLimit is how long an ADD may take whose plugin hangs.
	hangLimit = time.Minute
	// printed is how much a plugin prints that prints too much; a runtime that takes
	// less memory for it does not keep it.
	printed = 100 << 20
)

func oddAnswers(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	usual := e.Attach(n)
	before := e.Add(ctx, usual)
	e.MustOK(before)
	e.MustOK(e.Del(ctx, usual))
	for _, odd := range []struct {
		what string
		step script.FakeStep
	}{
		{"prints garbage", script.FakeStep{Stdout: "no result\n"}},
		{"answers in a version that there is not", script.FakeStep{Stdout: `{"cniVersion":"9.9.9","ips":[{"address":"192.0.2.9/24"}],"dns":{}}`}},
		{"prints 100 MiB", script.FakeStep{StdoutBytes: printed}},
		{"hangs", script.FakeStep{Hang: true}},
	} {
		ginkgo.By("an ADD with a plugin that " + odd.what)
		e.Script("p2", script.Fake{Add: odd.step})
		a := e.Attach(n)
		limited, cancel := context.WithTimeout(ctx, suite.Patience(hangLimit))
		answer := e.Add(limited, a)
		cancel()
		e.MustFail(answer, "ADD with a plugin that "+odd.what)
		Expect(answer.Took).To(BeNumerically("<", suite.Patience(hangLimit)), "how long an ADD takes with a plugin that %s", odd.what)
		Expect(answer.Memory-before.Memory).To(BeNumerically("<", printed), "the bytes of memory that the runtime took for an ADD with a plugin that %s, beyond those for a usual one", odd.what)
		e.Script("p2", script.Fake{})
		e.Del(ctx, a)
	}
}
