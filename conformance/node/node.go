// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/fakes/delegate"
)

// PollInterval is how often the suite looks whether something has happened.
const PollInterval = 10 * time.Millisecond

// Options say what a node is made of.
type Options struct {
	// WorkDir is where the node makes its directory.
	WorkDir string
	// FakeDelegate is a program that is the fake delegate, as package
	// fakes/delegate makes one; empty means this program. PluginDir holds the real
	// plugins.
	FakeDelegate, PluginDir string
	// Root is the case's own file system, in whose directory the node is made;
	// nil for the host's.
	Root *Root
}

// Node is one case's own node: directories, sandboxes, plugins, and the calls
// of the fake ones. What it makes, it removes; what a subject leaves behind, it
// finds. Its methods fail the case when something goes wrong that is not the
// subject's doing.
type Node struct {
	// Dir is the case's own directory; all others are below it.
	Dir string
	// BinDir holds the plugins, CallsDir the calls that fake ones recorded.
	BinDir, CallsDir string
	// Own are further files and directories of the suite's, below Dir. What is
	// in them is not left behind by a subject.
	Own []string
	// ListRecords, unless nil, asks the subject what it has recorded: lines of a
	// container id and an interface name.
	ListRecords func() ([]string, error)

	options   Options
	mu        sync.Mutex
	sandboxes []*Sandbox
	closers   []func()
	notes     []string
	steps     steps
	// before are the processes that ran before the subject did.
	before []string
	// allowed is why leftovers do not fail the case, "" when they are.
	allowed string
}

// New makes the node of a case, with the fake delegate among its plugins.
func New(o Options) *Node {
	ginkgo.GinkgoHelper()
	work := o.WorkDir
	if o.Root != nil {
		work = o.Root.Dir
	}
	dir, err := os.MkdirTemp(work, "e-")
	Expect(err).NotTo(HaveOccurred())
	n := &Node{Dir: dir, BinDir: filepath.Join(dir, "bin"), CallsDir: filepath.Join(dir, "calls"), options: o, steps: steps{began: time.Now()}}
	if suite.Isolated() {
		n.before = suite.ForeignProcesses()
	}
	for _, d := range []string{n.BinDir, n.CallsDir, filepath.Join(dir, "netns")} {
		Expect(os.Mkdir(d, 0o700)).To(Succeed())
	}
	Expect(delegate.Link(n.BinDir, "fake", o.FakeDelegate)).To(Succeed())
	return n
}

// Skipf skips the rest of the case with a reason.
func (n *Node) Skipf(format string, args ...any) {
	ginkgo.GinkgoHelper()
	ginkgo.Skip(fmt.Sprintf(format, args...))
}

// AllowLeftovers switches the search for records and interfaces after the case
// off, for one that leaves things on purpose. Processes are looked for still.
func (n *Node) AllowLeftovers(reason string) { n.allowed = reason }

// Ignored are the processes that do not count as left behind: those that ran
// before the subject did, and those of Ignore.
func (n *Node) Ignored() []string { return n.before }

// Ignore has processes not count as left behind, a daemon's for example.
func (n *Node) Ignore(processes ...string) { n.before = append(n.before, processes...) }

// Notef puts what the case measured into the report.
func (n *Node) Notef(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, fmt.Sprintf(format, args...))
}

// RealPlugins puts the real plugins beside the fake one; the case is skipped
// with a reason when they are not built.
func (n *Node) RealPlugins() {
	ginkgo.GinkgoHelper()
	if n.options.PluginDir == "" {
		n.Skipf("the real plugins are needed, and no directory of them is named; build containernetworking/plugins and name it with --plugins, or Config.PluginDir")
	}
	for _, name := range []string{"bridge", "macvlan", "ptp", "host-local", "static", "tuning", "portmap", "loopback"} {
		path, err := filepath.Abs(filepath.Join(n.options.PluginDir, name))
		Expect(err).NotTo(HaveOccurred())
		if _, err := exec.LookPath(path); err != nil {
			n.Skipf("the real plugins are needed (%v); build containernetworking/plugins and name their directory with --plugins", err)
		}
		Expect(os.Symlink(path, filepath.Join(n.BinDir, name))).To(Succeed())
	}
}

// File writes a file below the case's directory and returns its path.
func (n *Node) File(name, content string) string {
	ginkgo.GinkgoHelper()
	path := filepath.Join(n.Dir, name)
	Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
	ReplaceFile(path, []byte(content))
	return path
}

// Touch makes an empty file, which a delegate may be waiting for.
func (n *Node) Touch(path string) {
	ginkgo.GinkgoHelper()
	Expect(os.WriteFile(path, nil, 0o600)).To(Succeed())
}

// ReplaceFile writes a file as a careful writer does: whole, by rename.
func ReplaceFile(path string, content []byte) {
	ginkgo.GinkgoHelper()
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+RandomHex(3))
	Expect(os.WriteFile(tmp, content, 0o600)).To(Succeed())
	Expect(os.Rename(tmp, path)).To(Succeed())
}

// AtEnd has f called when the case is over.
func (n *Node) AtEnd(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closers = append(n.closers, f)
}

// RandomHex returns n random bytes in hexadecimal.
func RandomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// Await looks until a list is empty, for a while; see suite.Patience.
func Await(list func() []string, limit time.Duration) bool {
	return AwaitEvery(list, limit, PollInterval)
}

// AwaitEvery is Await that looks less often, because looking takes what the subject
// needs.
func AwaitEvery(list func() []string, limit, every time.Duration) bool {
	deadline := time.After(suite.Patience(limit))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for len(list()) > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// MustJSON encodes what can always be encoded.
func MustJSON(v any) []byte {
	ginkgo.GinkgoHelper()
	data, err := json.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	return data
}

// Notes are what the case measured so far.
func (n *Node) Notes() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.notes)
}

// WorkDir is the directory that the run gave the case, above Dir.
func (n *Node) WorkDir() string { return n.options.WorkDir }

// Sandboxes lists the sandboxes that were made so far.
func (n *Node) Sandboxes() []*Sandbox {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.sandboxes)
}

// CloseAll runs what AtEnd was told, the last first.
func (n *Node) CloseAll() {
	for _, f := range slices.Backward(n.closers) {
		f()
	}
}

// ExpectNothingLeft asserts that no process, interface or file of the subject is
// left, and removes the sandboxes.
func (n *Node) ExpectNothingLeft() {
	ginkgo.GinkgoHelper()
	processes := func() []string { return nil }
	if suite.Isolated() {
		processes = func() []string {
			return slices.DeleteFunc(suite.ForeignProcesses(), func(p string) bool { return slices.Contains(n.before, p) })
		}
	}
	// What the subject has started may need a moment to end.
	_ = Await(processes, 5*time.Second)
	left := processes()
	if n.allowed == "" {
		for _, s := range n.sandboxes {
			left = append(left, n.Leftovers(s)...)
		}
		left = append(left, n.HostLeftovers()...)
	}
	for _, s := range n.sandboxes {
		Expect(s.close()).To(Succeed())
	}
	Expect(left).To(BeEmpty(), "processes that are left after the case, and what is left after DEL")
}

// Itoa is strconv.Itoa.
func Itoa(n int) string { return strconv.Itoa(n) }
