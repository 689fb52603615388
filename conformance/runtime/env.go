// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/target"
)

// processLimit is how many processes and threads a case may have.
const processLimit = 1000

// Env is the world of one case: a host with an own root and network namespace,
// the runtime, networks, and recording plugins. What is left in it goes with it.
// Its methods fail the case when something goes wrong that is not the runtime's
// doing.
type Env struct {
	*node.Node
	// Target is the runtime that is judged, Driver asks it.
	Target *Target
	Driver Driver
	// ConfDir has the networks' configurations. CacheDir is for what the runtime
	// keeps, StateDir for what it keeps until the next reboot.
	ConfDir, CacheDir, StateDir string
	// Cgroup is where a runtime of containers makes theirs, in every hierarchy of
	// cgroups.
	Cgroup string
	// FakeDelegate is the program of the recording plugins.
	FakeDelegate string

	ctx      context.Context
	daemon   *target.Process
	networks int
	mu       sync.Mutex
	said     []string
}

// newEnv makes the world of a case.
func newEnv(ctx context.Context, s Settings, workDir string) *Env {
	ginkgo.GinkgoHelper()
	self, err := os.Readlink("/proc/self/exe")
	Expect(err).NotTo(HaveOccurred())
	if s.FakeDelegate != "" {
		self, err = filepath.Abs(s.FakeDelegate)
		Expect(err).NotTo(HaveOccurred())
	}
	// Where there is no controller for it, the file systems' limits have to do.
	_ = suite.LimitProcesses(workDir, processLimit)
	root, err := node.EnterRoot(workDir, slices.Concat(s.Target.seen(), s.Seen, []string{filepath.Dir(self)})...)
	Expect(err).NotTo(HaveOccurred())
	n := node.New(node.Options{WorkDir: workDir, FakeDelegate: self, Root: root})
	e := &Env{Node: n, Target: s.Target, FakeDelegate: self, Cgroup: suite.ContainersCgroup(workDir), ctx: ctx, ConfDir: filepath.Join(n.Dir, "net.d"), CacheDir: filepath.Join(n.Dir, "cache"), StateDir: filepath.Join(n.Dir, "state")}
	for _, dir := range []string{e.ConfDir, e.CacheDir, e.StateDir, filepath.Join(n.Dir, "said")} {
		Expect(os.Mkdir(dir, 0o700)).To(Succeed())
	}
	e.makePlugins()
	Expect(target.Place(s.Target.file.Files, e.Render)).To(Succeed())
	e.Driver, err = s.driver(ctx, e)
	Expect(err).NotTo(HaveOccurred(), "the runtime")
	return e
}

// values are what the target's texts refer to, but for those of a container.
func (e *Env) values() Values {
	return Values{ConfDir: e.ConfDir, BinDir: e.BinDir, CacheDir: e.CacheDir, StateDir: e.StateDir, Dir: e.Dir}
}

// Render renders a text of the target file, the value of key.
func (e *Env) Render(key, text string) (string, error) {
	return target.Render(key, text, e.values(), nil)
}

// StartDaemon starts the target file's daemon and waits until it is ready, for
// drivers; a second call starts it again.
func (e *Env) StartDaemon() error {
	if e.daemon == nil {
		e.AtEnd(func() { e.KillDaemon() })
	}
	p, err := e.Target.file.Daemon.Start(e.Render, filepath.Join(e.Dir, "daemon.log"))
	e.daemon = p
	return err
}

// KillDaemon ends the daemon by SIGKILL and waits for its end.
func (e *Env) KillDaemon() {
	if e.daemon != nil {
		_ = e.daemon.Kill()
		<-e.daemon.Done()
	}
}

// DaemonPID is the daemon's process id, 0 without one.
func (e *Env) DaemonPID() int {
	if e.daemon == nil {
		return 0
	}
	return e.daemon.PID()
}

// Has reports whether the runtime has a feature.
func (e *Env) Has(f spec.Feature) bool { return e.Target.Has(f) }

// Attach makes a container, with a network namespace where the caller makes it,
// to be attached to networks. Nothing is asked of the runtime.
func (e *Env) Attach(networks ...*Network) *Attachment {
	ginkgo.GinkgoHelper()
	var options []node.SandboxOption
	if !e.Driver.Takes().Netns {
		options = append(options, node.WithoutNetns())
	}
	return &Attachment{Sandbox: e.NewSandbox("default", options...), Networks: networks}
}

// Add has a container attached.
func (e *Env) Add(ctx context.Context, a *Attachment) Answer {
	ginkgo.GinkgoHelper()
	return e.ask("ADD of "+e.named(a), func() Answer { return e.Driver.Add(ctx, a) })
}

// Del has it detached.
func (e *Env) Del(ctx context.Context, a *Attachment) Answer {
	ginkgo.GinkgoHelper()
	return e.ask("DEL of "+e.named(a), func() Answer { return e.Driver.Del(ctx, a) })
}

// Check has it checked.
func (e *Env) Check(ctx context.Context, a *Attachment) Answer {
	ginkgo.GinkgoHelper()
	return e.ask("CHECK of "+e.named(a), func() Answer { return e.Driver.Check(ctx, a) })
}

// GC has a network's remains collected, but for the attachments.
func (e *Env) GC(ctx context.Context, n *Network, valid ...*Attachment) Answer {
	ginkgo.GinkgoHelper()
	return e.ask(fmt.Sprintf("GC of %s with %d valid attachments", n.Name, len(valid)), func() Answer { return e.Driver.GC(ctx, n, valid) })
}

// Status asks whether a network is ready.
func (e *Env) Status(ctx context.Context, n *Network) Answer {
	ginkgo.GinkgoHelper()
	return e.ask("STATUS of "+n.Name, func() Answer { return e.Driver.Status(ctx, n) })
}

// Begin has something asked of the runtime while the case goes on; the channel
// gives the answer.
func (e *Env) Begin(ask func() Answer) <-chan Answer {
	answer := make(chan Answer, 1)
	go func() {
		defer close(answer)
		defer ginkgo.GinkgoRecover()
		answer <- ask()
	}()
	return answer
}

func (e *Env) named(a *Attachment) string {
	var names []string
	for _, n := range a.Networks {
		names = append(names, n.Name)
	}
	return shortID(a.ID) + " to " + strings.Join(names, ", ")
}

func shortID(id string) string { return id[:min(len(id), 12)] }

// ask notes what is asked and what is answered.
func (e *Env) ask(what string, driver func() Answer) Answer {
	ended := e.Step("%s", what)
	a := driver()
	ended(a.String())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, "--- "+what+": "+a.String()+"\n")
	return a
}

// MustOK fails the case when the runtime did not report success.
func (e *Env) MustOK(a Answer) {
	ginkgo.GinkgoHelper()
	Expect(a.OK).To(BeTrue(), "%s", a.String())
}

// MustFail fails the case when the runtime did not report a failure.
func (e *Env) MustFail(a Answer, why string) {
	ginkgo.GinkgoHelper()
	Expect(a.Failed()).To(BeTrue(), "%s: it has to fail; %s", why, a.String())
}

// Kill ends the runtime by SIGKILL.
func (e *Env) Kill() {
	ginkgo.GinkgoHelper()
	e.killer().Kill()
}

// Start starts the runtime after Kill.
func (e *Env) Start(ctx context.Context) {
	ginkgo.GinkgoHelper()
	Expect(e.killer().Start(ctx, false)).To(Succeed(), "the runtime, started again")
}

// Restart has the next command served by another process of the runtime.
func (e *Env) Restart(ctx context.Context) {
	ginkgo.GinkgoHelper()
	e.Kill()
	e.Start(ctx)
}

// Reboot ends everything that runs, gives the kernel another boot id, takes the
// network namespaces away, and starts the runtime with what it has recorded.
func (e *Env) Reboot(ctx context.Context) {
	ginkgo.GinkgoHelper()
	e.Kill()
	e.endProcesses()
	e.Node.Reboot()
	for _, dir := range []string{e.StateDir, "/run"} {
		Expect(node.Empty(dir)).To(Succeed(), "%s, which a reboot empties", dir)
	}
	Expect(os.Mkdir("/run/netns", 0o755)).To(Succeed())
	Expect(e.killer().Start(ctx, true)).To(Succeed(), "the runtime, started after a reboot")
}

func (e *Env) killer() Killer {
	ginkgo.GinkgoHelper()
	k, ok := e.Driver.(Killer)
	Expect(ok).To(BeTrue(), "the target file has the feature kill, and a runtime that is asked in this way cannot be killed")
	return k
}

// endProcesses ends what runs but for the case itself.
func (e *Env) endProcesses() {
	for _, p := range suite.ForeignProcesses() {
		if fields := strings.Fields(p); len(fields) > 1 {
			if pid, err := strconv.Atoi(fields[1]); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	_ = node.Await(suite.ForeignProcesses, 5*time.Second)
}

// teardown ends what still runs. Whatever else is left goes with the case's
// namespaces and root.
func (e *Env) teardown() {
	e.CloseAll()
	e.endProcesses()
	for _, s := range e.Sandboxes() {
		if !s.Gone {
			s.RemoveNetns()
		}
	}
}

// story is what the runtime said last.
func (e *Env) story() string {
	e.mu.Lock()
	said := strings.Join(e.said[max(0, len(e.said)-12):], "")
	e.mu.Unlock()
	if e.daemon != nil {
		said += "--- the daemon's log\n" + spec.LastLines(e.daemon.Log(), 40) + "\n"
	}
	if t, ok := e.Driver.(Teller); ok {
		said += t.Story() + "\n"
	}
	return said
}

// Results are the directories in which the runtime keeps results.
func (e *Env) Results() []string {
	dirs := []string{e.CacheDir, "/var/lib/cni"}
	if k, ok := e.Driver.(Keeper); ok {
		dirs = append(dirs, k.Results()...)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
