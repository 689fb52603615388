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
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/podresources"
	"github.com/thicket-cni/thicket/fakes/script"
)

var filesCases = []thick.Case{
	{
		ID: "SEC-15", Level: spec.Must, Source: "OPS", Body: securityFiles, Needs: []spec.Feature{thick.FeatureDevices},
		Title: "Pipes, devices, links and huge files where others may write hang nothing, and nothing that a link leads to is shown",
	},
}

// filesLimit is how long a request may take that has to do with such a file.
const filesLimit = 5 * time.Second

// oddFiles make what no description of a device should be.
var oddFiles = map[string]func(path, secret string) error{
	"a pipe":   func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
	"a device": func(path, _ string) error { return os.Symlink("/dev/zero", path) },
	"a link":   func(path, secret string) error { return os.Symlink(secret, path) },
	"a huge file": func(path, _ string) error {
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			return err
		}
		return os.Truncate(path, 64<<20)
	},
}

// securityFiles is SEC-15: a device plugin's description of a device, and the
// plugins beside a network's configuration.
func securityFiles(ctx context.Context, e *thick.Env) {
	const resource, id = "example.com/nic", "0000:03:02.1"
	secret := e.File("secret.json", `{"type":"pci","pci":{"pci-address":"top-secret"}}`)
	withDevice := expect.VethFake()
	withDevice.Capabilities = map[string]bool{"deviceID": true, "CNIDeviceInfoFile": true}
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.DefinitionOf(resource, "nic", e.FakeList("nic", withDevice))
	d := e.Start(ctx)
	kubelet := e.PodResources()
	described := filepath.Join(e.DeviceInfoDir(), "dp", strings.ReplaceAll(resource, "/", "-")+"-"+id+"-device.json")
	Expect(os.MkdirAll(filepath.Dir(described), 0o755)).To(Succeed())
	for what, makeIt := range oddFiles {
		ginkgo.By(what + " in place of a device's description")
		Expect(makeIt(described, secret)).To(Succeed())
		s := e.Sandbox(node.Networks("nic"))
		kubelet.Set(s.PodNamespace, s.PodName, podresources.Device{Container: "app", Resource: resource, IDs: []string{id}})
		expectFileHarmless(ctx, e, s)
		Expect(os.Remove(described)).To(Succeed())
	}
	securityPluginFiles(ctx, e)
	start := time.Now()
	d.Terminate()
	Eventually(d.Done()).WithTimeout(filesLimit).Should(BeClosed(), "the daemon's end after SIGTERM")
	Expect(time.Since(start)).To(BeNumerically("<", filesLimit))
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
	Expect(time.Since(start)).To(BeNumerically("<", filesLimit), "the time of ADD")
	Expect(answer.String()).NotTo(ContainSubstring("top-secret"))
	Expect(string(node.MustJSON(e.Status(s)))).NotTo(ContainSubstring("top-secret"), "the network status shows what a link leads to")
	start = time.Now()
	e.MustOK(e.Del(ctx, s))
	Expect(time.Since(start)).To(BeNumerically("<", filesLimit), "the time of DEL")
	expect.NothingLeft(e, s)
}
