// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

var delegatesCases = []thick.Case{
	{
		ID: "SEC-09", Level: spec.Must, Source: "OPS", Body: securityShimIsNoDelegate, Timeout: 3 * time.Minute,
		Processes: 60, // a daemon that calls itself through the shim does so without end
		Title:     "No delegate is the shim; neither shim nor daemon changes a directory that it did not make",
	},
}

// shimDelegateLimit is how long a delegate may run in SEC-09. A delegate that
// is refused takes none of it.
const shimDelegateLimit = 3 * time.Second

// shimDelegates is the world of SEC-09: the target's shim lies beside the
// delegates under several names, and behind a script, and a directory of the host is what a
// definition would like to change.
type shimDelegates struct {
	e *thick.Env
	// types are plugin types that lead to the shim.
	types []string
	host  string
}

// securityShimIsNoDelegate is SEC-09.
func securityShimIsNoDelegate(ctx context.Context, e *thick.Env) {
	e.RealPlugins() // bridge executes its IPAM plugin itself
	w := newShimDelegates(e)
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	before := securityShimKeepsDirectories(ctx, e)
	e.Start(ctx, thick.DelegateTimeout(shimDelegateLimit))
	for _, t := range w.types {
		for place, config := range w.configurations(t) {
			ginkgo.By(fmt.Sprintf("type %s, %s", t, place))
			w.expectRefusedEverywhere(ctx, config)
		}
	}
	w.nodeFile(ctx)
	w.othersAreServed(ctx)
	expectModesKept(e, before)
}

func newShimDelegates(e *thick.Env) *shimDelegates {
	ginkgo.GinkgoHelper()
	shim := e.Target.ShimPath()
	content, err := os.ReadFile(shim)
	Expect(err).NotTo(HaveOccurred())
	named := filepath.Base(shim)
	Expect(os.Symlink(shim, filepath.Join(e.BinDir, named))).To(Succeed())
	Expect(os.Symlink(named, filepath.Join(e.BinDir, "harmless-link"))).To(Succeed())
	Expect(os.WriteFile(filepath.Join(e.BinDir, "harmless-copy"), content, 0o700)).To(Succeed())
	// Of a script nobody can tell what it will execute, before it does.
	Expect(os.WriteFile(filepath.Join(e.BinDir, "harmless-script"), []byte("#!/bin/sh\nexec '"+shim+"'\n"), 0o700)).To(Succeed())
	w := &shimDelegates{e: e, types: []string{named, "harmless-link", "harmless-copy", "harmless-script"}, host: filepath.Join(e.Dir, "host")}
	Expect(os.Mkdir(w.host, 0o700)).To(Succeed())
	Expect(os.Chmod(w.host, 0o755)).To(Succeed())
	return w
}

// shimConfig is a configuration by which the shim would find the daemon, or,
// away, none, and would write into the host's directory.
func (w *shimDelegates) shimConfig(plugin, network string, away bool) map[string]any {
	ginkgo.GinkgoHelper()
	config, err := w.e.Target.ShimConfig(w.e.Paths())
	Expect(err).NotTo(HaveOccurred())
	var keys map[string]any
	Expect(json.Unmarshal(config, &keys)).To(Succeed(), "JSON is expected here: %s", config)
	keys["type"], keys["name"], keys["cniVersion"] = plugin, network, "1.0.0"
	if away {
		keys["daemonSocketDir"], keys["pendingDir"], keys["logFile"] = "/nonexistent", w.host, filepath.Join(w.host, "log")
	}
	return keys
}

// configurations are the places in which a type can stand.
func (w *shimDelegates) configurations(t string) map[string]string {
	own, away := w.shimConfig(t, "nested", false), w.shimConfig(t, "nested", true)
	chained := map[string]any{"cniVersion": "1.0.0", "name": "nested", "plugins": []any{w.e.Plugin(expect.VethFake()), away}}
	bridge := map[string]any{"cniVersion": "1.0.0", "name": "nested", "type": "bridge", "bridge": "shimbr0", "ipam": away}
	return map[string]string{
		"the daemon's own": string(node.MustJSON(own)), "without a daemon": string(node.MustJSON(away)),
		"chained": string(node.MustJSON(chained)), "for IPAM": string(node.MustJSON(bridge)),
	}
}

// expectRefusedEverywhere asks for a configuration by a definition and on
// /delegate.
func (w *shimDelegates) expectRefusedEverywhere(ctx context.Context, config string) {
	ginkgo.GinkgoHelper()
	e := w.e
	e.Definition("nested", config)
	w.expectRefusedADD(ctx, e.Sandbox(node.Networks("nested")))
	if !e.Supports(thick.FeatureHotplug) {
		return
	}
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	start := time.Now()
	_ = expect.Refused(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", config)))
	Expect(time.Since(start)).To(BeNumerically("<", suite.Patience(shimDelegateLimit)), "the time until /delegate refused")
	e.MustOK(e.Del(ctx, s))
	w.expectUntouched()
}

// expectRefusedADD asserts that an ADD is refused at once, and that its DEL
// then succeeds at once.
func (w *shimDelegates) expectRefusedADD(ctx context.Context, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	start := time.Now()
	_ = expect.Refused(w.e.Add(ctx, s))
	Expect(time.Since(start)).To(BeNumerically("<", suite.Patience(shimDelegateLimit)), "the time until ADD was refused")
	start = time.Now()
	w.e.MustOK(w.e.Del(ctx, s))
	Expect(time.Since(start)).To(BeNumerically("<", suite.Patience(shimDelegateLimit)), "the time that DEL took")
	expect.NothingLeft(w.e, s)
	w.expectUntouched()
}

// nodeFile is a definition without a configuration, which stands for the
// node's file of its name: the one that sends the runtime to the shim.
func (w *shimDelegates) nodeFile(ctx context.Context) {
	ginkgo.GinkgoHelper()
	for _, t := range w.types {
		ginkgo.By("type " + t + ", in the node's file")
		list := map[string]any{"cniVersion": "1.0.0", "name": "node-" + t, "plugins": []any{w.shimConfig(t, "", true)}}
		node.ReplaceFile(filepath.Join(w.e.ConfDir, "00-"+t+".conflist"), node.MustJSON(list))
		w.e.Definition("node-"+t, "")
		w.expectRefusedADD(ctx, w.e.Sandbox(node.Networks("node-"+t)))
	}
}

// othersAreServed asserts that nothing of what was refused holds up the node.
func (w *shimDelegates) othersAreServed(ctx context.Context) {
	ginkgo.GinkgoHelper()
	s := w.e.Sandbox()
	w.e.MustOK(w.e.Add(ctx, s))
	if w.e.Supports(thick.FeatureGC) {
		start := time.Now()
		w.e.MustOK(w.e.Post(ctx, api.MultusCNIAPIEndpoint, expect.NodeRequest(w.e, s, "GC")))
		Expect(time.Since(start)).To(BeNumerically("<", suite.Patience(shimDelegateLimit)), "the time that GC took")
	}
	w.e.MustOK(w.e.Del(ctx, s))
}

func (w *shimDelegates) expectUntouched() {
	ginkgo.GinkgoHelper()
	entries, err := os.ReadDir(w.host)
	Expect(err).NotTo(HaveOccurred())
	Expect(entries).To(BeEmpty(), "files in a directory of the host that a definition names")
	info, err := os.Stat(w.host)
	Expect(err).NotTo(HaveOccurred())
	Expect(info.Mode().Perm()).To(Equal(fs.FileMode(0o755)), "the mode of a directory of the host that a definition names")
}

// securityShimKeepsDirectories asserts that a shim without a daemon leaves
// owner and mode of an administrator's directories as they are, and returns
// them. Whether the DEL is recorded there or fails is the target's choice.
func securityShimKeepsDirectories(ctx context.Context, e *thick.Env) map[string]string {
	ginkgo.GinkgoHelper()
	ginkgo.By("a shim without a daemon")
	Expect(os.MkdirAll(e.PendingDir, 0o700)).To(Succeed())
	for _, dir := range []string{e.CacheDir, e.PendingDir} {
		Expect(os.Chmod(dir, 0o755)).To(Succeed())
	}
	before := directoryModes(e)
	e.Shim(ctx, "DEL", e.Sandbox())
	expectModesKept(e, before)
	return before
}

// expectModesKept asserts that directories which the target did not make have
// the owner and the mode that they had.
func expectModesKept(e *thick.Env, before map[string]string) {
	ginkgo.GinkgoHelper()
	now := directoryModes(e)
	for dir, mode := range before {
		Expect(now[dir]).To(Equal(mode), "owner and mode of %s, which the target did not make", dir)
	}
}

// directoryModes are owner and mode of the directories that the case made.
func directoryModes(e *thick.Env) map[string]string {
	ginkgo.GinkgoHelper()
	modes := map[string]string{}
	for _, dir := range []string{e.Dir, e.BinDir, e.ConfDir, e.ClusterDir, e.CacheDir, e.PendingDir, e.CNIConfDir, filepath.Join(e.Dir, "host")} {
		info, err := os.Lstat(dir)
		if err != nil {
			continue // not made yet
		}
		owner, _ := info.Sys().(*syscall.Stat_t)
		modes[dir] = fmt.Sprintf("%s %d:%d", info.Mode(), owner.Uid, owner.Gid)
	}
	return modes
}
