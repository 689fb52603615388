// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"fmt"
	"os"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// shimOwnNamespace is SHIM-15: what a runtime gets wrong once must not cost the
// node its own interfaces. CNI has code 8 for it (section "Error").
func shimOwnNamespace(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Start(ctx)
	own := thick.ShimEnv(func(env map[string]string) { env["CNI_NETNS"] = fmt.Sprintf("/proc/%d/ns/net", os.Getpid()) })
	refused := func(command string, s *node.Sandbox) {
		ginkgo.GinkgoHelper()
		run := e.Shim(ctx, command, s, own)
		Expect(run.ExitCode).NotTo(BeZero(), "%s in the shim's own namespace: %s %s", command, run.Stdout, run.Stderr)
		Expect(run.Error()).NotTo(BeNil(), "a CNI error of %s on stdout %q", command, run.Stdout)
		Expect(e.CallsFor(command, s)).To(BeEmpty(), "delegates of a %s that is refused", command)
	}
	refused("ADD", e.Sandbox())
	s := e.Sandbox()
	expect.Succeeded(e.Shim(ctx, "ADD", s))
	refused("DEL", s)
	Expect(s.InterfaceNames()).To(ConsistOf("eth0"), "the sandbox after a DEL that was refused")
	expect.SilentSuccess(e.Shim(ctx, "DEL", s), "DEL")
}
