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

// elsewherePlanted is a good name for a plugin that is not in the plugin
// directory.
const elsewherePlanted = "elsewhere-planted"

// hostileTypes are names of plugins that must not be executed. At each place
// to which one of them could lead lies an executable, see plantExecutables.
func hostileTypes(e *thick.Env) []string {
	return []string{
		"../planted", "./planted", "a/planted", "a/../planted", "../bin/planted", "../../" + filepath.Base(e.Dir) + "/planted",
		filepath.Join(e.Dir, "planted"), "/planted", "planted/", "..", ".", elsewherePlanted,
	}
}

// plantExecutables puts an executable at every place that a hostile type may
// resolve to: beside, below and in the plugin directory, and in a directory of
// the daemon's PATH. Each says that it ran and then is a plugin that succeeds,
// so that nothing but the name keeps it from being used.
func plantExecutables(e *thick.Env, marker string) {
	ginkgo.GinkgoHelper()
	script := fmt.Sprintf("#!/bin/sh\necho \"$0 at $CNI_COMMAND\" >> '%s'\nexec '%s'\n", marker, filepath.Join(e.BinDir, "fake"))
	elsewhere := filepath.Join(e.Dir, "elsewhere")
	for _, dir := range []string{filepath.Join(e.BinDir, "a"), elsewhere} {
		Expect(os.MkdirAll(dir, 0o700)).To(Succeed())
	}
	for _, path := range []string{
		filepath.Join(e.Dir, "planted"), filepath.Join(e.BinDir, "planted"), filepath.Join(e.BinDir, "a", "planted"),
		filepath.Join(elsewhere, elsewherePlanted),
	} {
		Expect(os.WriteFile(path, []byte(script), 0o700)).To(Succeed())
	}
	// The case has a process of its own, and a daemon inherits its PATH.
	Expect(os.Setenv("PATH", elsewhere+string(filepath.ListSeparator)+os.Getenv("PATH"))).To(Succeed())
}

// securityPluginType is SEC-02.
func securityPluginType(ctx context.Context, e *thick.Env) {
	marker := filepath.Join(e.Dir, "marker")
	plantExecutables(e, marker)
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("fine", e.FakeList("fine", script.Fake{Type: "planted"}))
	for i, hostile := range hostileTypes(e) {
		e.Definition(fmt.Sprintf("hostile-%d", i), e.FakeList(fmt.Sprintf("hostile-%d", i), script.Fake{Type: hostile}))
		e.Definition(fmt.Sprintf("chained-%d", i), e.FakeList(fmt.Sprintf("chained-%d", i), expect.VethFake(), script.Fake{Type: hostile}))
	}
	e.Start(ctx)
	ginkgo.By("the executables that are planted can be executed")
	s := e.Sandbox(node.Networks("fine"))
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Del(ctx, s))
	Expect(marker).To(BeARegularFile(), "the mark of an executable that ran")
	Expect(os.Remove(marker)).To(Succeed())
	for i, hostile := range hostileTypes(e) {
		ginkgo.By(fmt.Sprintf("type %q", hostile))
		securityHostileDefinition(ctx, e, hostile, fmt.Sprintf("hostile-%d", i), marker)
		securityHostileDefinition(ctx, e, hostile, fmt.Sprintf("chained-%d", i), marker)
		securityHostileDefault(ctx, e, hostile, marker)
		if e.Supports(thick.FeatureHotplug) {
			securityHostileHotplug(ctx, e, hostile, marker)
		}
	}
}

// securityHostileDefinition asks for a network whose plugin must not run. ADD
// fails, and so the DEL, which has nothing to do for that network, must not.
func securityHostileDefinition(ctx context.Context, e *thick.Env, hostile, network, marker string) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks(network))
	_ = expect.Refused(e.Add(ctx, s))
	expectNotExecuted(marker, "ADD of "+network)
	e.Del(ctx, s)
	expectNotExecuted(marker, "DEL of "+network)
	expectDeletable(ctx, e, s, hostile)
}

// expectDeletable asserts that a sandbox can be deleted after an ADD that was
// refused. The DEL of a plugin that is merely not installed waits for it.
func expectDeletable(ctx context.Context, e *thick.Env, s *node.Sandbox, hostile string) {
	ginkgo.GinkgoHelper()
	if hostile == elsewherePlanted {
		installed := filepath.Join(e.BinDir, elsewherePlanted)
		Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), installed)).To(Succeed())
		defer func() { Expect(os.Remove(installed)).To(Succeed()) }()
	}
	if !e.Del(ctx, s).OK() {
		// Nothing was executed, which is the requirement; that a DEL has to succeed
		// is DEL-02's.
		e.AllowLeftovers("a sandbox whose DEL fails for the plugin's type")
		return
	}
	Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of an ADD that failed")
}

// securityHostileDefault makes the default network one whose plugin must not
// run, for a sandbox that was added before and for another one.
func securityHostileDefault(ctx context.Context, e *thick.Env, hostile, marker string) {
	ginkgo.GinkgoHelper()
	before := e.Sandbox()
	e.MustOK(e.Add(ctx, before))
	e.DefaultNetwork(e.FakeList("default", script.Fake{Type: hostile}))
	s := e.Sandbox()
	_ = expect.Refused(e.Add(ctx, s))
	for _, command := range []string{"CHECK", "DEL"} {
		e.Post(ctx, api.MultusCNIAPIEndpoint, e.Request(command, s))
	}
	for command, feature := range map[string]spec.Feature{"STATUS": thick.FeatureStatus, "GC": thick.FeatureGC} {
		if e.Supports(feature) {
			e.Post(ctx, api.MultusCNIAPIEndpoint, expect.NodeRequest(e, before, command))
		}
	}
	e.MustOK(e.Del(ctx, before))
	expectNotExecuted(marker, "any command with a default network")
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	expectDeletable(ctx, e, s, hostile)
	Expect(e.Leftovers(before)).To(BeEmpty(), "what DEL left")
}

// securityHostileHotplug posts a configuration whose plugin must not run.
func securityHostileHotplug(ctx context.Context, e *thick.Env, hostile, marker string) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	config := e.FakeList("hot", script.Fake{Type: hostile})
	_ = expect.Refused(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", config)))
	for _, command := range []string{"CHECK", "DEL", "STATUS"} {
		e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, command, config))
	}
	expectNotExecuted(marker, "any command of a hot-plug")
	expectDeletable(ctx, e, s, hostile)
}

// expectNotExecuted asserts that none of the planted executables ran.
func expectNotExecuted(marker, what string) {
	ginkgo.GinkgoHelper()
	ran, err := os.ReadFile(marker)
	if !os.IsNotExist(err) {
		Expect(err).NotTo(HaveOccurred())
	}
	Expect(string(ran)).To(BeEmpty(), "what was executed by %s", what)
}
