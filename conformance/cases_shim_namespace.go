// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"os"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// shimOwnNamespace is SHIM-15: what a runtime gets wrong once must not cost the
// node its own interfaces. CNI has code 8 for it (section "Error").
func shimOwnNamespace(ctx context.Context, e *Env) {
	e.DefaultNetwork(e.FakeList("default", vethFake()))
	e.Start(ctx)
	own := ShimEnv(func(env map[string]string) { env["CNI_NETNS"] = fmt.Sprintf("/proc/%d/ns/net", os.Getpid()) })
	refused := func(command string, s *Sandbox) {
		ginkgo.GinkgoHelper()
		run := e.Shim(ctx, command, s, own)
		Expect(run.ExitCode).NotTo(BeZero(), "%s in the shim's own namespace: %s %s", command, run.Stdout, run.Stderr)
		Expect(run.Error()).NotTo(BeNil(), "a CNI error of %s on stdout %q", command, run.Stdout)
		Expect(e.CallsFor(command, s)).To(BeEmpty(), "delegates of a %s that is refused", command)
	}
	refused("ADD", e.Sandbox())
	s := e.Sandbox()
	expectSucceeded(e.Shim(ctx, "ADD", s))
	refused("DEL", s)
	Expect(s.InterfaceNames()).To(ConsistOf("eth0"), "the sandbox after a DEL that was refused")
	expectSilentSuccess(e.Shim(ctx, "DEL", s), "DEL")
}
