// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

const (
	// replacements is how often the shim is installed over itself.
	replacements = 5
	// shimSizeLimit and shimMemoryLimit are SHIM-13's, in bytes.
	shimSizeLimit   = 8 << 20
	shimMemoryLimit = 16 << 20
)

// heldStub is a daemon that answers when the channel is closed.
func heldStub(e *thick.Env) (*thick.Stub, chan struct{}) {
	ginkgo.GinkgoHelper()
	release := make(chan struct{})
	return e.Stub(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			expect.AnswerAll(w, r)
		case <-r.Context().Done():
		}
	})), release
}

// shimReplaced is SHIM-12. A shim that runs is held by a daemon of the suite;
// another process executes the installed file all the time.
func shimReplaced(ctx context.Context, e *thick.Env) {
	installed := installShim(ctx, e)
	stub, release := heldStub(e)
	s := e.Sandbox()
	running := e.StartShim(ctx, "ADD", s, thick.ShimPath(installed))
	Eventually(func() int { return expect.RequestsOf(stub, "ADD") }).WithContext(ctx).Should(Equal(1), "the running shim's request")
	files, err := os.ReadDir(e.InstallDir)
	Expect(err).NotTo(HaveOccurred())

	watch := watchExecutable(installed)
	for range replacements {
		before := inode(installed)
		Expect(e.Target.Install(ctx, e.Paths())).To(Succeed(), "installing over a shim that runs")
		Expect(inode(installed)).NotTo(Equal(before), "a new file takes the old one's name")
	}
	executions, failed := watch()
	Expect(failed).NotTo(HaveOccurred(), "at every instant the file is a whole shim")
	Expect(executions).To(BeNumerically(">=", replacements), "executions while the shim was replaced")
	now, err := os.ReadDir(e.InstallDir)
	Expect(err).NotTo(HaveOccurred())
	Expect(now).To(HaveLen(len(files)), "files in the directory; what an installer needs meanwhile it removes")

	close(release)
	Expect(running.Wait(ctx).Result100().Interfaces).NotTo(BeEmpty(), "the result that the old shim printed")
	expect.Succeeded(e.Shim(ctx, "ADD", s, thick.ShimPath(installed)))
}

// installShim installs the target's shim and returns where it is.
func installShim(ctx context.Context, e *thick.Env) string {
	ginkgo.GinkgoHelper()
	Expect(e.Target.Install(ctx, e.Paths())).To(Succeed())
	path := filepath.Join(e.InstallDir, filepath.Base(e.Target.ShimPath()))
	info, err := os.Lstat(path)
	Expect(err).NotTo(HaveOccurred(), "the installed shim has the shim's name")
	Expect(info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0).To(BeTrue(), "%s has mode %s", path, info.Mode())
	return path
}

func inode(path string) uint64 {
	ginkgo.GinkgoHelper()
	info, err := os.Lstat(path)
	Expect(err).NotTo(HaveOccurred())
	return info.Sys().(*syscall.Stat_t).Ino
}

// watchExecutable asks the file for its versions again and again, until the
// function that it returns is called: how often that was, and what failed
// first.
func watchExecutable(path string) (stop func() (int, error)) {
	type outcome struct {
		executions int
		err        error
	}
	ended, out := make(chan struct{}), make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() { out <- o }()
		for o.err == nil {
			cmd := exec.Command(path) //nolint:noctx // VERSION waits for nothing
			cmd.Env = []string{"CNI_COMMAND=VERSION"}
			text, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(text), "supportedVersions") {
				o.err = fmt.Errorf("execution %d: %w: %s", o.executions+1, err, text)
			}
			o.executions++
			select {
			case <-ended:
				return
			default:
			}
		}
	}()
	return func() (int, error) {
		close(ended)
		o := <-out
		return o.executions, o.err
	}
}

// shimSmall is SHIM-13. Memory is looked at while the shim waits for its
// answer, which is where it spends its time on a busy node, and while it waits
// for a daemon.
func shimSmall(ctx context.Context, e *thick.Env) {
	info, err := os.Stat(e.Target.ShimPath())
	Expect(err).NotTo(HaveOccurred())
	Expect(info.Size()).To(BeNumerically("<", shimSizeLimit), "bytes of %s", e.Target.ShimPath())
	expectNoKubernetes(e.Target.ShimPath())

	stub, release := heldStub(e)
	running := e.StartShim(ctx, "ADD", e.Sandbox(), thick.ShimConfigBytes(oddConfig(e)))
	Eventually(func() int { return expect.RequestsOf(stub, "ADD") }).WithContext(ctx).Should(Equal(1), "the running shim's request")
	Expect(peakOf(running.PID())).To(BeNumerically("<", shimMemoryLimit), "peak memory of a shim that waits for its answer, in bytes")
	close(release)
	expect.Succeeded(running.Wait(ctx))
	stub.Close()

	waiting := e.StartShim(ctx, "ADD", e.Sandbox())
	expect.ShimsWaiting(waiting)
	Expect(peakOf(waiting.PID())).To(BeNumerically("<", shimMemoryLimit), "peak memory of a shim that waits for a daemon, in bytes")
	waiting.Kill()
}

// expectNoKubernetes looks at the modules that a Go binary was built from; one
// that is not written in Go has none of them.
func expectNoKubernetes(path string) {
	ginkgo.GinkgoHelper()
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		ginkgo.By("the shim has no Go build information: " + err.Error())
		return
	}
	for _, module := range info.Deps {
		Expect(module.Path).NotTo(Or(HavePrefix("k8s.io/"), HavePrefix("sigs.k8s.io/")), "a module of %s", path)
	}
}

// peakOf is the most memory that a process has had since it was executed, in
// bytes. (Its rusage would count the process that forked it.)
func peakOf(pid int) int64 {
	ginkgo.GinkgoHelper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	Expect(err).NotTo(HaveOccurred())
	found := expect.PeakLine.FindSubmatch(status)
	Expect(found).To(HaveLen(2), "VmHWM in %s", status)
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	Expect(err).NotTo(HaveOccurred())
	return kilobytes << 10
}
