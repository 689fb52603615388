// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var pathCases = []thick.Case{{
	ID: "SEC-17", Level: spec.Must, Source: "OPS", Body: clientsPlugins,
	Title: "Only plugins of the daemon's own directories are executed, whatever the client's CNI_PATH has",
}}

// clientsPlugins is SEC-17: the client's directory has an executable with the
// name of a plugin that the daemon has, and one that it has not. Both are
// plugins that succeed, and say that they ran.
func clientsPlugins(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	dir, marker := filepath.Join(e.Dir, "client-bin"), filepath.Join(e.Dir, "executed")
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	for _, name := range []string{"fake", "only-the-clients"} {
		text := fmt.Sprintf("#!/bin/sh\necho \"$0 at $CNI_COMMAND\" >> '%s'\nexec '%s'\n", marker, filepath.Join(e.BinDir, "fake"))
		Expect(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755)).To(Succeed())
	}
	e.DefaultNetwork(expect.Versioned(e.FakeList("default"), "1.1.0"))
	e.Definition("second", e.FakeList("second"))
	e.Definition("strange", e.FakeList("strange", script.Fake{Type: "only-the-clients"}))
	e.Start(ctx)
	for _, path := range []string{dir, dir + ":" + e.BinDir, e.BinDir + ":" + dir} {
		ginkgo.By("requests with CNI_PATH " + path)
		w := &clientPath{e, path, marker}
		w.ofSandbox(ctx)
		w.ofNode(ctx)
		w.ofNobody(ctx)
	}
	ginkgo.By("a shim with such a CNI_PATH")
	own := thick.ShimEnv(func(env map[string]string) { env["CNI_PATH"] = dir })
	s := e.Sandbox(node.Networks("second"))
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		expect.Succeeded(e.Shim(ctx, command, s, own))
		(&clientPath{e, dir, marker}).expectNothing(command + " of the shim")
	}
}

// clientPath is a client whose CNI_PATH leads to plugins of its own.
type clientPath struct {
	e            *thick.Env
	path, marker string
}

func (w *clientPath) post(ctx context.Context, endpoint string, r *api.Request) *thick.Answer {
	ginkgo.GinkgoHelper()
	r.Env["CNI_PATH"] = w.path
	return w.e.Post(ctx, endpoint, r)
}

// expectNothing asserts that no plugin of the client's ran.
func (w *clientPath) expectNothing(what string) {
	ginkgo.GinkgoHelper()
	ran, err := os.ReadFile(w.marker)
	if !os.IsNotExist(err) {
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(string(ran)).To(BeEmpty(), "executables of the client's CNI_PATH that ran at %s", what)
}

// ofSandbox has a sandbox attached, checked and deleted.
func (w *clientPath) ofSandbox(ctx context.Context) {
	ginkgo.GinkgoHelper()
	s := w.e.Sandbox(node.Networks("second"))
	w.e.MustOK(w.post(ctx, api.MultusCNIAPIEndpoint, w.e.Request("ADD", s)))
	w.expectNothing("ADD")
	w.e.MustOK(w.post(ctx, api.MultusCNIAPIEndpoint, w.e.Request("CHECK", s)))
	w.expectNothing("CHECK")
	if w.e.Supports(thick.FeatureHotplug) {
		for _, command := range []string{"ADD", "DEL"} {
			w.e.MustOK(w.post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(w.e, s, command, w.e.FakeList("hot"))))
			w.expectNothing(command + " on /delegate")
		}
	}
	w.e.MustOK(w.post(ctx, api.MultusCNIAPIEndpoint, w.e.Request("DEL", s)))
	w.expectNothing("DEL")
	Expect(node.NetworksOf(w.e.CallsFor("DEL", s))).To(ContainElements("second", "default"), "DEL by the daemon's own plugins")
}

// ofNobody asks for a plugin that the client alone has. Its DEL may have to wait
// until the daemon has it too.
func (w *clientPath) ofNobody(ctx context.Context) {
	ginkgo.GinkgoHelper()
	s := w.e.Sandbox(node.Networks("strange"))
	_ = expect.Refused(w.post(ctx, api.MultusCNIAPIEndpoint, w.e.Request("ADD", s)))
	w.expectNothing("ADD of a plugin that the client alone has")
	installed := filepath.Join(w.e.BinDir, "only-the-clients")
	Expect(os.Symlink(filepath.Join(w.e.BinDir, "fake"), installed)).To(Succeed())
	w.e.MustOK(w.post(ctx, api.MultusCNIAPIEndpoint, w.e.Request("DEL", s)))
	w.expectNothing("DEL of a plugin that the client has, too")
	Expect(os.Remove(installed)).To(Succeed())
}

// ofNode asks for GC and STATUS, which have no sandbox.
func (w *clientPath) ofNode(ctx context.Context) {
	ginkgo.GinkgoHelper()
	if w.e.Supports(thick.FeatureGC) {
		w.e.MustOK(w.post(ctx, api.MultusCNIAPIEndpoint, expect.GcRequest(w.e)))
		w.expectNothing("GC")
	}
	if w.e.Supports(thick.FeatureStatus) {
		w.e.MustOK(w.post(ctx, api.MultusCNIAPIEndpoint, expect.StatusRequest(w.e)))
		w.expectNothing("STATUS")
	}
}
