// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// absentLimit is how long DEL and STATUS may take without a daemon.
const absentLimit = 2 * time.Second

// inRunDir sends the shim to another run directory, whatever the name of the
// key is.
func inRunDir(e *thick.Env, runDir string) thick.ShimOption {
	ginkgo.GinkgoHelper()
	config, err := e.Target.ShimConfig(e.Paths())
	Expect(err).NotTo(HaveOccurred())
	Expect(string(config)).To(ContainSubstring(e.RunDir), "the configuration")
	return thick.ShimConfigBytes(bytes.ReplaceAll(config, []byte(e.RunDir), []byte(runDir)))
}

// absences are run directories in which no daemon is to be found, each in its
// own way.
func absences(e *thick.Env) map[string]string {
	ginkgo.GinkgoHelper()
	missing, empty, stale := filepath.Join(e.Dir, "r-missing"), filepath.Join(e.Dir, "r-empty"), filepath.Join(e.Dir, "r-stale")
	Expect(os.Mkdir(empty, 0o700)).To(Succeed())
	Expect(os.Mkdir(stale, 0o700)).To(Succeed())
	expect.StaleSocket(api.SocketPath(stale))
	return map[string]string{"no run directory": missing, "no socket": empty, "a socket that refuses": stale}
}

// addsWithoutDaemon executes an ADD for each way in which a daemon is absent,
// side by side, and waits for their ends.
func addsWithoutDaemon(ctx context.Context, e *thick.Env) (runs map[string]*thick.ShimRun, runDirs map[string]string) {
	ginkgo.GinkgoHelper()
	runDirs, runs = absences(e), map[string]*thick.ShimRun{}
	shims := map[string]*thick.ShimProcess{}
	for why, dir := range runDirs {
		shims[why] = e.StartShim(ctx, "ADD", e.Sandbox(), inRunDir(e, dir))
	}
	for why, p := range shims {
		runs[why] = p.Wait(ctx)
		Expect(runs[why].ExitCode).NotTo(BeZero(), "%s: ADD succeeded with %s", why, runs[why].Stdout)
		expect.OnlyDocument(runs[why])
		Expect(runs[why].Error()).NotTo(BeNil(), "%s: no CNI error on stdout: %q", why, runs[why].Stdout)
	}
	return runs, runDirs
}

// shimAddGivesUp is SHIM-06. READY-03 allows a second; starting and ending
// three processes on a busy machine is given two more.
func shimAddGivesUp(ctx context.Context, e *thick.Env) {
	runs, _ := addsWithoutDaemon(ctx, e)
	for why, run := range runs {
		Expect(run.Duration).To(BeNumerically(">=", api.APIReadyPollTimeout), why)
		expectWithin(run, api.APIReadyPollTimeout+suite.Patience(3*time.Second), why)
	}
	Expect(e.Calls()).To(BeEmpty(), "calls of delegates")
}

// shimTryAgainLater is SHIM-14.
func shimTryAgainLater(ctx context.Context, e *thick.Env) {
	runs, runDirs := addsWithoutDaemon(ctx, e)
	for why, run := range runs {
		Expect(run.Error().Code).To(Equal(uint(11)), "%s: %v", why, run.Error())
		Expect(run.Error().Error()).To(ContainSubstring(api.SocketPath(runDirs[why])), "the error names the socket")
	}
}

// shimStatusUnavailable is SHIM-08.
func shimStatusUnavailable(ctx context.Context, e *thick.Env) {
	s := e.Sandbox()
	for why, dir := range absences(e) {
		// A runtime asks for STATUS without a container.
		run := e.Shim(ctx, "STATUS", s, inRunDir(e, dir), thick.ShimEnv(func(env map[string]string) {
			clear(env)
			env["CNI_COMMAND"], env["CNI_PATH"] = "STATUS", e.BinDir
		}))
		expectWithin(run, suite.Patience(absentLimit), "STATUS with "+why)
		Expect(run.ExitCode).NotTo(BeZero(), "STATUS with %s", why)
		expect.OnlyDocument(run)
		Expect(run.Error()).NotTo(BeNil(), "%s: no CNI error on stdout: %q", why, run.Stdout)
		Expect(run.Error().Code).To(Equal(uint(50)), "%s: %v", why, run.Error())
	}
	e.Start(ctx)
	expect.SilentSuccess(e.Shim(ctx, "STATUS", s), "STATUS with a daemon")
}

// shimDelLater is SHIM-07.
func shimDelLater(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("second", e.FakeList("second", expect.VethFake()))
	d := e.Start(ctx)
	s, stays := e.Sandbox(node.Networks("second")), e.Sandbox(node.Networks("second"))
	expect.Succeeded(e.Shim(ctx, "ADD", s))
	expect.Succeeded(e.Shim(ctx, "ADD", stays))
	d.Stop(ctx)
	e.ResetCalls()
	ginkgo.By("twice without a daemon, then carried out once")
	expectRecorded(e.Shim(ctx, "DEL", s))
	expectRecorded(e.Shim(ctx, "DEL", s, thick.ShimEnv(func(env map[string]string) { delete(env, "CNI_NETNS") })))
	expectRecorded(e.Shim(ctx, "DEL", e.Sandbox()))
	Expect(e.Calls()).To(BeEmpty(), "delegates that ran without a daemon")
	d = e.Start(ctx)
	expectDeletedOnce(ctx, e, s)

	ginkgo.By("not again, by a DEL nor by the next daemon")
	expect.SilentSuccess(e.Shim(ctx, "DEL", s), "DEL of what is deleted")
	d.Stop(ctx)
	d = e.Start(ctx)
	expectDeletedOnce(ctx, e, s)
	Expect(stays.InterfaceNames()).To(ConsistOf("eth0", "net1"), "the other sandbox")
	Expect(e.CallsFor("DEL", stays)).To(BeEmpty(), "calls of delegates at DEL")

	if e.Supports(thick.FeatureKill) {
		ginkgo.By("after a crash, which leaves the socket")
		d.Kill()
	} else {
		d.Stop(ctx)
	}
	shimDelUnrecordable(ctx, e, stays)
	expectRecorded(e.Shim(ctx, "DEL", stays))
	d = e.Start(ctx)
	expectDeletedOnce(ctx, e, stays)
	shimDelTriedAgain(ctx, e, d)
}

// shimDelTriedAgain has the delegate of a DEL that was recorded fail at first:
// nobody will ask again, so the daemon has to try until it succeeds.
func shimDelTriedAgain(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a delegate that fails when the DEL is carried out")
	stubborn := expect.VethFake()
	stubborn.Del.Error, stubborn.Del.Times = types.NewError(150, "the port is stuck", ""), 1
	e.Definition("stubborn", e.FakeList("stubborn", stubborn))
	s := e.Sandbox(node.Networks("stubborn"))
	expect.Succeeded(e.Shim(ctx, "ADD", s))
	d.Stop(ctx)
	expectRecorded(e.Shim(ctx, "DEL", s))
	e.Start(ctx)
	e.AwaitCalls(ctx, 2, func(c script.Call) bool { return expect.CallOf(s, "DEL", "stubborn")(c) && !c.End.IsZero() })
	Eventually(e.Leftovers).WithArguments(s).WithContext(ctx).WithTimeout(5*time.Second).Should(BeEmpty(), "after the DEL succeeded")
}

func expectRecorded(run *thick.ShimRun) {
	ginkgo.GinkgoHelper()
	expectWithin(run, suite.Patience(absentLimit), "DEL without a daemon")
	expect.SilentSuccess(run, "DEL without a daemon")
}

// expectDeletedOnce awaits the delegates' DELs and asserts that no more come.
func expectDeletedOnce(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	e.AwaitCalls(ctx, 2, func(c script.Call) bool { return c.Command == "DEL" && c.ContainerID == s.ID })
	Eventually(e.Leftovers).WithArguments(s).WithContext(ctx).WithTimeout(5*time.Second).Should(BeEmpty(), "after the DEL was carried out")
	Consistently(func() []string { return expect.Trace(expect.CallsOfSandbox(e, s)) }).WithTimeout(1500*time.Millisecond).
		Should(Equal([]string{"second as net1", "default as eth0"}), "DELs, each once and in reverse order")
	expect.Forgotten(ctx, e, s)
}

// shimDelUnrecordable puts a file in the place of the cache directory: root
// can write into any directory, but not below a file.
func shimDelUnrecordable(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	ginkgo.By("without a place for the record")
	away := e.CacheDir + ".away"
	Expect(os.Rename(e.CacheDir, away)).To(Succeed())
	e.File(filepath.Base(e.CacheDir), "in the way")
	run := e.Shim(ctx, "DEL", s)
	expectWithin(run, suite.Patience(absentLimit), "DEL that cannot be recorded")
	Expect(run.ExitCode).NotTo(BeZero(), "DEL succeeded although it is recorded nowhere")
	expect.OnlyDocument(run)
	Expect(run.Error()).NotTo(BeNil(), "no CNI error on stdout: %q", run.Stdout)
	Expect(os.Remove(e.CacheDir)).To(Succeed())
	Expect(os.Rename(away, e.CacheDir)).To(Succeed())
}
