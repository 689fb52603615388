// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"fmt"
	"os"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// shimOwnNamespace is SHIM-15: what a runtime gets wrong once must not cost the
// node its own interfaces. CNI has code 8 for it (section "Error").
func shimOwnNamespace(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Start(ctx)
	own := thick.ShimEnv(func(env map[string]string) { env["CNI_NETNS"] = fmt.Sprintf("/proc/%d/ns/net", os.Getpid()) })
	s := e.Sandbox()
	run := e.Shim(ctx, "ADD", s, own)
	Expect(run.ExitCode).NotTo(BeZero(), "ADD in the shim's own namespace: %s %s", run.Stdout, run.Stderr)
	Expect(run.Error()).NotTo(BeNil(), "a CNI error of ADD on stdout %q", run.Stdout)
	Expect(run.Error().Code).To(BeEquivalentTo(8), "the code of an ADD in the shim's own namespace")
	Expect(e.CallsFor("ADD", s)).To(BeEmpty(), "delegates of an ADD that is refused")
	expect.Succeeded(e.Shim(ctx, "ADD", s))
	expect.SilentSuccess(e.Shim(ctx, "DEL", s), "DEL")
}
