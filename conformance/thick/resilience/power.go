// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/powercut"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var powerCases = []thick.Case{
	{
		ID: "RES-15", Level: spec.Should, Source: "OPS", Body: powerLost,
		Needs: []spec.Feature{thick.FeatureProcess, thick.FeatureRestart, thick.FeatureKill},
		Slow:  40 * time.Second, Timeout: 6 * time.Minute,
		Title: "After a power cut at any moment, whatever the disk has kept of unsynced writes, each delegate that ran is deleted with what ADD gave it",
	},
}

const (
	// powerStates is how many of the states that a power cut may leave are looked
	// at; those of a careful daemon are fewer.
	powerStates = 120
	// powerRevision and laterRevision are in the configurations before the power
	// cut and after it: a DEL that has the latter forgot what ADD had (DEL-04).
	powerRevision, laterRevision = 1, 2
	// powerPadding makes records of several blocks of a disk, in bytes.
	powerPadding = 6000
)

// powerLost is RES-15. A daemon serves on a file system that remembers each of its
// changes; then every state that a power cut may have left is given to a daemon on
// the rebooted machine.
func powerLost(ctx context.Context, e *thick.Env) {
	remembered := rememberingDisk(e)
	powerNetworks(e, powerRevision)
	d := e.Start(ctx)
	sandboxes := powerStory(ctx, e)
	calls := e.Calls()
	d.Kill()
	changes := remembered.Changes()
	Expect(remembered.Close()).To(Succeed(), "unmounting the file system")
	e.Reboot()
	powerNetworks(e, laterRevision)
	states := powercut.States(changes)
	found := len(states)
	states = chosen(states, powerStates)
	for _, state := range states {
		w := &powerWorld{e: e, sandboxes: sandboxes, calls: calls, changes: changes, state: state}
		w.judge(ctx)
	}
	for _, s := range sandboxes {
		s.Added = false
	}
	e.Notef("%d changes of files, %d states that a power cut may leave, %d of them looked at", len(changes), found, len(states))
}

// rememberingDisk mounts one at the cache directory. The daemon must not have
// started.
func rememberingDisk(e *thick.Env) *powercut.Disk {
	ginkgo.GinkgoHelper()
	if _, err := os.Stat(powercut.Device); err != nil {
		e.Skipf("what a program writes is recorded by a file system of its own, and FUSE is not there: %v (modprobe fuse)", err)
	}
	behind := filepath.Join(e.Dir, "behind")
	Expect(os.Mkdir(behind, 0o700)).To(Succeed())
	remembered, err := powercut.Mount(e.CacheDir, behind)
	Expect(err).NotTo(HaveOccurred())
	e.AtEnd(func() { _ = remembered.Close() })
	return remembered
}

// powerNetworks are those of the story, in one of their revisions.
func powerNetworks(e *thick.Env, revision int) {
	ginkgo.GinkgoHelper()
	e.DefaultNetwork(powerList(e, "default", revision))
	for _, name := range []string{"second", "third"} {
		e.Definition(name, powerList(e, name, revision))
	}
}

func powerList(e *thick.Env, name string, revision int) string {
	ginkgo.GinkgoHelper()
	return e.FakeList(name, script.Fake{Extra: map[string]any{"revision": revision, "padding": strings.Repeat(name[:1], powerPadding)}})
}

// powerStory attaches, plugs and deletes.
func powerStory(ctx context.Context, e *thick.Env) []*node.Sandbox {
	ginkgo.GinkgoHelper()
	ginkgo.By("what happens before the power cut")
	a, b, c := e.Sandbox(node.Networks("second,third")), e.Sandbox(node.Networks("second")), e.Sandbox(node.Networks("third"))
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Add(ctx, b))
	if e.Supports(thick.FeatureHotplug) {
		hot := expect.HotplugRequest(e, a, "ADD", powerList(e, "hot", powerRevision))
		hot.Env["CNI_IFNAME"] = "hot0"
		e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, hot))
	}
	e.MustOK(e.Del(ctx, b))
	e.MustOK(e.Add(ctx, c))
	e.MustOK(e.Del(ctx, a))
	return []*node.Sandbox{a, b, c}
}

// chosen takes at most so many of the states: of the extreme ones first, then of
// the others, evenly from first to last.
func chosen(states []*powercut.State, most int) []*powercut.State {
	var extreme, others []*powercut.State
	for _, s := range states {
		if s.Extreme {
			extreme = append(extreme, s)
		} else {
			others = append(others, s)
		}
	}
	taken := spread(extreme, most)
	return append(taken, spread(others, most-len(taken))...)
}

// spread takes at most so many of the states, evenly from first to last.
func spread(states []*powercut.State, most int) []*powercut.State {
	if len(states) <= most {
		return states
	}
	taken := make([]*powercut.State, 0, most)
	for i := range most {
		taken = append(taken, states[i*len(states)/most])
	}
	return taken
}

// powerWorld is one state after the power cut.
type powerWorld struct {
	e         *thick.Env
	sandboxes []*node.Sandbox
	// calls are the delegates' before the power cut.
	calls   []script.Call
	changes []*powercut.Change
	state   *powercut.State
}

// judge starts a daemon on what is there, and has the runtime's DEL follow for
// each sandbox that there was.
func (w *powerWorld) judge(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a power cut " + w.state.What)
	Expect(emptied(w.e.CacheDir)).To(Succeed())
	Expect(w.state.Write(w.e.CacheDir)).To(Succeed())
	w.e.ResetCalls()
	d := w.e.Start(ctx)
	for _, s := range w.sandboxes {
		due := w.due(s)
		if len(due) == 0 {
			continue
		}
		a := w.e.Del(ctx, s)
		Expect(a.OK()).To(BeTrue(), "DEL %s: %s", w.state.What, a)
		for _, network := range due {
			Expect(w.deleted(s, network)).To(ContainElement(BeEquivalentTo(powerRevision)),
				"revisions of network %s that its delegate's DEL had, %s; the records:\n%s", network, w.state.What, w.records())
		}
	}
	d.Kill()
}

// due are the networks of a sandbox whose delegates had run ADD, and not DEL, when
// the power was lost: at the latest just before the next change.
func (w *powerWorld) due(s *node.Sandbox) []string {
	before := func(t time.Time) bool {
		return w.state.After == len(w.changes) || t.Before(w.changes[w.state.After].At)
	}
	var due []string
	for _, c := range w.calls {
		switch {
		case c.ContainerID != s.ID:
		case c.Command == "ADD" && before(c.Start):
			due = append(due, c.Network)
		case c.Command == "DEL" && !c.End.IsZero() && before(c.End):
			due = slices.DeleteFunc(due, func(network string) bool { return network == c.Network })
		}
	}
	return due
}

// deleted are the revisions that a network's DELs had since the power cut.
func (w *powerWorld) deleted(s *node.Sandbox, network string) []any {
	var revisions []any
	for _, c := range w.e.CallsFor("DEL", s) {
		if c.Network == network {
			revisions = append(revisions, c.Config()["revision"])
		}
	}
	return revisions
}

// records lists what there was to read.
func (w *powerWorld) records() string { return strings.Join(w.state.Paths(), "\n") }

// emptied removes what is in a directory.
func emptied(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("before the next state: %w", err)
		}
	}
	return nil
}
