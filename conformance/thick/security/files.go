// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/podresources"
	"github.com/thicket-cni/thicket/fakes/script"
)

var filesCases = []thick.Case{
	{
		ID: "SEC-15", Level: spec.Must, Source: "OPS", Body: securityFiles,
		Slow: 20 * time.Second, Timeout: 4 * time.Minute,
		Title: "Pipes, devices, links and huge files where others may write hang nothing, and nothing that a link leads to is shown",
	},
}

const (
	// filesLimit is how long a request may take that has to do with such a file,
	// and endLimit the daemon's end: no row says how fast, only that they come.
	filesLimit, endLimit = 10 * time.Second, 10 * time.Second
)

// oddFiles make what no file of the daemon's should be.
var oddFiles = []struct {
	what string
	make func(path, secret string) error
}{
	{"a pipe", func(path, _ string) error { return syscall.Mkfifo(path, 0o600) }},
	{"a device", func(path, _ string) error { return os.Symlink("/dev/zero", path) }},
	{"a link", func(path, secret string) error { return os.Symlink(secret, path) }},
	{"a socket", func(path, _ string) error {
		return syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0)
	}},
	{"a huge file", func(path, _ string) error {
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			return err
		}
		return os.Truncate(path, 64<<20)
	}},
}

// theSecret is in the files that links lead to, as JSON and as one word.
const theSecret = "top-secret"

// securityFiles is SEC-15: a device plugin's description of a device, the plugins
// beside a network's configuration, manifests, what the daemon keeps, and the
// node's CNI configuration.
func securityFiles(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	d := e.Start(ctx)
	if e.Supports(thick.FeatureDevices) {
		securityDescriptions(ctx, e)
	}
	securityPluginFiles(ctx, e)
	if e.Supports(thick.FeatureStandalone) {
		securityManifests(ctx, e)
	}
	expectEnds(d)
	if e.Supports(thick.FeatureRestart) {
		securityKept(ctx, e)
	}
	if e.Supports(thick.FeatureRestart) && e.Supports(thick.FeatureNodeConf) {
		securityNodeConfiguration(ctx, e)
	}
}

// expectEnds asserts that SIGTERM ends the daemon, and that it has not said what
// a link leads to.
func expectEnds(d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	start := time.Now()
	d.Terminate()
	Eventually(d.Done()).WithTimeout(endLimit).Should(BeClosed(), "the daemon's end after SIGTERM")
	Expect(time.Since(start)).To(BeNumerically("<", suite.Patience(endLimit)), "how long it took")
	Expect(d.Log()).NotTo(ContainSubstring(theSecret), "the daemon's log shows what a link leads to")
}

// securityDescriptions puts such files where devices are described.
func securityDescriptions(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	const resource, id = "example.com/nic", "0000:03:02.1"
	secret := e.File("secret.json", `{"type":"pci","pci":{"pci-address":"`+theSecret+`"}}`)
	withDevice := expect.VethFake()
	withDevice.Capabilities = map[string]bool{"deviceID": true, "CNIDeviceInfoFile": true}
	e.DefinitionOf(resource, "nic", e.FakeList("nic", withDevice))
	kubelet := e.PodResources()
	described := filepath.Join(e.DeviceInfoDir(), "dp", strings.ReplaceAll(resource, "/", "-")+"-"+id+"-device.json")
	Expect(os.MkdirAll(filepath.Dir(described), 0o755)).To(Succeed())
	for _, odd := range oddFiles {
		ginkgo.By(odd.what + " in place of a device's description")
		Expect(odd.make(described, secret)).To(Succeed())
		s := e.Sandbox(node.Networks("nic"))
		kubelet.Set(s.PodNamespace, s.PodName, podresources.Device{Container: "app", Resource: resource, IDs: []string{id}})
		expectFileHarmless(ctx, e, s)
		Expect(os.Remove(described)).To(Succeed())
	}
}

// securityPluginFiles puts a pipe where further plugins of a network would lie.
func securityPluginFiles(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a pipe beside a network's configuration")
	dir := filepath.Join(e.ConfDir, "beside")
	Expect(os.Mkdir(dir, 0o700)).To(Succeed())
	Expect(syscall.Mkfifo(filepath.Join(dir, "10-pipe.conf"), 0o600)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(e.ConfDir, "20-beside.conflist"), []byte(e.FakeList("beside", script.Fake{})), 0o600)).To(Succeed())
	e.Definition("beside", "")
	expectFileHarmless(ctx, e, e.Sandbox(node.Networks("beside")))
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Del(ctx, s))
}

// expectFileHarmless asserts that ADD, whether it is refused or not, is answered
// in time, shows no secret, and can be deleted.
func expectFileHarmless(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	start := time.Now()
	answer := expect.AwaitAnswer(e.Async(ctx, e.Request("ADD", s)))
	Expect(time.Since(start)).To(BeNumerically("<", suite.Patience(filesLimit)), "the time of ADD")
	Expect(answer.String()).NotTo(ContainSubstring(theSecret), "the answer")
	Expect(string(node.MustJSON(e.Status(s)))).NotTo(ContainSubstring(theSecret), "the network status shows what a link leads to")
	start = time.Now()
	e.MustOK(e.Del(ctx, s))
	Expect(time.Since(start)).To(BeNumerically("<", suite.Patience(filesLimit)), "the time of DEL")
	expect.NothingLeft(e, s)
}
