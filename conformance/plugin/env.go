// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/target"
	"github.com/thicket-cni/thicket/fakes/script"
)

// processLimit is how many processes and threads a case may have.
const processLimit = 1000

// Env is the world of one case: a host with an own root and network namespace,
// containers, the plugin, and the suite's IPAM plugin. What is left in it goes
// with it. Its methods fail the case when something goes wrong that is not the
// plugin's doing.
type Env struct {
	*node.Node
	// Target is the plugin that is judged.
	Target *Target
	// Version is the version of CNI by which it is judged.
	Version string
	// Network is the network's name, ID is in the names of devices.
	Network, ID string
	// Subnets are the network's: one of IPv4, unless the case adds others before
	// the first Attach.
	Subnets []string
	// Routes are destinations by way of the subnets' gateways; see UseRoutes.
	Routes []string
	// StateDir is for what the plugin keeps, where the target file says so.
	StateDir string
	// Behind means that the plugin is executed behind another one, whose result it
	// gets.
	Behind bool

	root    *node.Root
	shared  []string
	logs    []string
	alive   living
	master  string
	bases   int
	daemon  *target.Process
	history history
	mu      sync.Mutex
}

// newEnv makes the world of a case.
func newEnv(s Settings, workDir, version string) *Env {
	ginkgo.GinkgoHelper()
	self, err := os.Readlink("/proc/self/exe")
	Expect(err).NotTo(HaveOccurred())
	if s.FakeDelegate != "" {
		self, err = filepath.Abs(s.FakeDelegate)
		Expect(err).NotTo(HaveOccurred())
	}
	// Where there is no controller for it, the file systems' limits have to do.
	_ = suite.LimitProcesses(workDir, processLimit)
	root, err := node.EnterRoot(workDir, append(s.Target.seen(), filepath.Dir(self))...)
	Expect(err).NotTo(HaveOccurred())
	n := node.New(node.Options{WorkDir: workDir, FakeDelegate: self, Root: root})
	id := node.RandomHex(3)
	e := &Env{
		Node: n, root: root, Target: s.Target, Version: version, ID: id, Network: "net-" + id, StateDir: filepath.Join(n.Dir, "state"),
		Routes:  []string{"0.0.0.0/0", "::/0"},
		Subnets: []string{"10." + strconv.Itoa(16+int(id[0])) + "." + strconv.Itoa(int(id[1])) + ".0/24"},
	}
	Expect(os.Mkdir(e.StateDir, 0o700)).To(Succeed())
	e.makeIPAM()
	e.prepare()
	e.place()
	e.startDaemon()
	return e
}

// values are what the target's texts refer to.
func (e *Env) values() Values {
	return Values{
		CNIVersion: e.Version, Name: e.Network, ID: e.ID, IPAM: string(node.MustJSON(map[string]any{"type": ipamName})),
		Subnet: e.Subnets[0], Master: e.master, StateDir: e.StateDir, Dir: e.Dir,
	}
}

// Config is the network configuration of commands that are of no container.
func (e *Env) Config(variants ...string) map[string]any {
	ginkgo.GinkgoHelper()
	values := e.values()
	values.Device = "none"
	config, err := e.Target.Config(values, variants...)
	Expect(err).NotTo(HaveOccurred(), "the network configuration")
	return config
}

// NeedVariant skips the case when the target file has no such variant.
func (e *Env) NeedVariant(name string) {
	ginkgo.GinkgoHelper()
	if !e.Target.HasVariant(name) {
		e.Skipf("the target file has no variant %s", name)
	}
}

// Shared are the lines of a snapshot that may stay after the last DEL.
func (e *Env) Shared() []string { return e.shared }

// State is a snapshot of the host and of containers.
type State []node.Snapshot

// State looks at the host and at containers.
func (e *Env) State(containers ...*node.Sandbox) State {
	ginkgo.GinkgoHelper()
	s := State{e.Snapshot()}
	for _, c := range containers {
		s = append(s, c.Snapshot())
	}
	return s
}

// Changes lists what is different now, a line each, with leases of the suite's
// IPAM plugin among the files. The plugin's logs are left out; so is what may stay
// after the last DEL when shared is true, but then no file that is named after a
// container without attachments counts as a log.
func (e *Env) Changes(since State, shared bool, containers ...*node.Sandbox) []string {
	ginkgo.GinkgoHelper()
	var except, gone []string
	if shared {
		except, gone = e.shared, e.alive.gone()
	}
	var all []string
	for i, now := range e.State(containers...) {
		all = append(all, since[i].Difference(now, except...)...)
	}
	return slices.DeleteFunc(all, func(line string) bool { return isLog(line, e.logs, gone) })
}

// NewLinks are the names of the host's interfaces that came, of one kind such as
// veth or of any, "".
func NewLinks(changes []string, kind string) []string {
	var came, went []string
	for _, line := range changes {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[1] != "link" || kind != "" && fields[3] != kind {
			continue
		}
		if fields[0] == "+" {
			came = append(came, fields[2])
		} else {
			went = append(went, fields[2]) // it has changed
		}
	}
	return slices.DeleteFunc(came, func(name string) bool { return slices.Contains(went, name) })
}

// ExpectUnchanged asserts that a plugin did nothing since.
func (e *Env) ExpectUnchanged(since State, what string, containers ...*node.Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(e.Changes(since, false, containers...)).To(BeEmpty(), what)
}

// ExpectRestored asserts that everything is as it was, except for what the target
// file declares as shared.
func (e *Env) ExpectRestored(since State, what string, containers ...*node.Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(e.Changes(since, true, containers...)).To(BeEmpty(), what)
}

// Processes lists the processes that plugins left running.
func (e *Env) Processes() []string {
	return slices.DeleteFunc(suite.ForeignProcesses(), func(p string) bool { return slices.Contains(e.Ignored(), p) })
}

// teardown ends what still runs. Whatever else is left goes with the case's
// namespaces and root.
func (e *Env) teardown() {
	for _, p := range e.Processes() {
		if fields := strings.Fields(p); len(fields) > 1 {
			if pid, err := strconv.Atoi(fields[1]); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	e.CloseAll()
	for _, s := range e.Sandboxes() {
		if !s.Gone {
			s.RemoveNetns()
		}
	}
}

// StopDaemon ends the plugin's daemon; false when it has none.
func (e *Env) StopDaemon() bool {
	ginkgo.GinkgoHelper()
	if e.daemon == nil {
		return false
	}
	killed := e.Step("the plugin's daemon is killed")
	Expect(e.daemon.Kill()).To(Succeed())
	<-e.daemon.Done()
	killed("")
	return true
}

// Master is the interface of the host that host.prepare made, "" without one.
func (e *Env) Master() string { return e.master }

// Unready are the target file's commands after which STATUS has to fail.
func (e *Env) Unready() [][]string {
	ginkgo.GinkgoHelper()
	var all [][]string
	for _, command := range e.Target.file.Unready {
		rendered, err := renderAll("unready", command, e.values())
		Expect(err).NotTo(HaveOccurred())
		all = append(all, rendered)
	}
	return all
}

// FreshNetwork makes the host one on which the plugin has not been executed:
// another network with other names of devices, and no rule of nft.
func (e *Env) FreshNetwork() {
	ginkgo.GinkgoHelper()
	if path, err := exec.LookPath("nft"); err == nil {
		out, err := exec.Command(path, "flush", "ruleset").CombinedOutput() //nolint:noctx // it takes milliseconds
		Expect(err).NotTo(HaveOccurred(), "%s", out)
	}
	e.ID = node.RandomHex(3)
	e.Network = "net-" + e.ID
	e.prepare()
	e.ScriptIPAM(script.Fake{})
}
