// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/pkg/api"
)

// checkVanished is CHECK-04. Each sandbox loses one thing.
func checkVanished(ctx context.Context, e *Env) {
	e.RealPlugins()
	Expect(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "master0"}})).To(Succeed())
	e.DefaultNetwork(realBridge(e, "default", "cbr-check", "10.73.0.0/24"))
	e.Definition("blue", realList(e, "blue", "10.74.0.0/24", map[string]any{"type": "macvlan", "master": "master0", "mode": "bridge"}))
	d := e.Start(ctx)
	for _, loss := range []struct {
		what string
		of   func(s *Sandbox)
	}{
		{"the address of eth0", func(s *Sandbox) { s.DeleteAddress("eth0", addressOf(s, "eth0")) }},
		{"the address of net1", func(s *Sandbox) { s.DeleteAddress("net1", addressOf(s, "net1")) }},
		{"eth0", func(s *Sandbox) { s.DeleteInterface("eth0") }},
		{"net1", func(s *Sandbox) { s.DeleteInterface("net1") }},
	} {
		ginkgo.By("a sandbox loses " + loss.what)
		s := e.Sandbox(Networks("blue"))
		e.MustOK(e.Add(ctx, s))
		e.MustOK(e.Check(ctx, s))
		loss.of(s)
		for range 2 { // the failure lasts as long as its reason, also over a restart
			a := e.Check(ctx, s)
			Expect(a.OK()).To(BeFalse(), "CHECK succeeds without %s", loss.what)
			Expect(a.Error()).NotTo(BeNil(), "a CNI error; the answer is %s", a)
			d = restarted(ctx, e, d)
		}
		e.MustOK(e.Del(ctx, s))
		Expect(e.Leftovers(s)).To(BeEmpty())
	}
}

// addressOf is the one address of a sandbox's interface.
func addressOf(s *Sandbox, name string) string {
	ginkgo.GinkgoHelper()
	for _, i := range s.Interfaces() {
		if i.Name == name {
			Expect(i.Addresses).To(HaveLen(1), "addresses of %s", name)
			return i.Addresses[0]
		}
	}
	ginkgo.Fail("the sandbox has no interface " + name)
	return ""
}

// checkUnknownContainer is CHECK-06.
func checkUnknownContainer(ctx context.Context, e *Env) {
	e.Definition("blue", e.FakeList("blue"))
	e.Definition("broken", e.FakeList("broken", Fake{Add: FakeStep{Error: types.NewError(119, "no", "")}}))
	d := e.Start(ctx)
	never, failed, deleted := e.Sandbox(Networks("blue")), e.Sandbox(Networks("broken")), e.Sandbox(Networks("blue"))
	Expect(e.Add(ctx, failed).OK()).To(BeFalse(), "ADD with a network that fails")
	e.MustOK(e.Add(ctx, deleted))
	e.MustOK(e.Check(ctx, deleted))
	e.MustOK(e.Del(ctx, deleted))
	e.ResetCalls()
	for range 2 {
		for what, s := range map[string]*Sandbox{"never added": never, "whose ADD failed": failed, "deleted": deleted} {
			a := e.Check(ctx, s)
			Expect(a.OK()).To(BeFalse(), "CHECK of a container %s succeeds", what)
			Expect(a.Error()).NotTo(BeNil(), "a CNI error; the answer is %s", a)
		}
		d = restarted(ctx, e, d)
	}
	Expect(e.CallsOf("CHECK")).To(BeEmpty(), "delegates are not asked about what was never attached")
}

// checkChangesNothing is CHECK-07, for a CHECK that succeeds and one that fails.
func checkChangesNothing(ctx context.Context, e *Env) {
	e.DefaultNetwork(e.FakeList("default", Fake{Add: FakeStep{Veth: true, Addresses: []string{"203.0.113.7/24"}}, Del: FakeStep{Veth: true}}))
	e.Definition("blue", e.FakeList("blue", realInterface()))
	e.Definition("moody", e.FakeList("moody", Fake{Add: FakeStep{Veth: true}, Del: FakeStep{Veth: true},
		Check: FakeStep{Error: types.NewError(232, "not now", ""), Times: 1}}))
	d := e.Start(ctx)
	s, moody := e.Sandbox(Networks("blue,blue@data0")), e.Sandbox(Networks("moody"))
	e.MustOK(e.Add(ctx, s))
	before := stateOf(e, s)
	Expect(before.Files).NotTo(BeEmpty(), "the target keeps something of an attached container")
	for range 3 {
		e.MustOK(e.Check(ctx, s))
		Expect(stateOf(e, s)).To(Equal(before), "after CHECK")
	}

	ginkgo.By("a CHECK that fails")
	e.MustOK(e.Add(ctx, moody))
	before = stateOf(e, moody)
	Expect(e.Check(ctx, moody).OK()).To(BeFalse(), "CHECK with a delegate that fails")
	Expect(stateOf(e, moody)).To(Equal(before), "after a CHECK that failed")
	e.MustOK(e.Check(ctx, moody))

	ginkgo.By("after a restart, and through the shim")
	restarted(ctx, e, d)
	before = stateOf(e, s)
	e.MustOK(e.Check(ctx, s))
	run := e.Shim(ctx, "CHECK", s)
	Expect(run.ExitCode).To(BeZero(), "the shim printed %s %s", run.Stdout, run.Stderr)
	Expect(stateOf(e, s)).To(Equal(before), "after CHECK")
	for _, c := range e.Calls() {
		Expect(c.Command).To(Or(Equal("ADD"), Equal("CHECK")), "what delegates are called for until DEL")
	}
	Expect(e.CallsFor("ADD", s)).To(HaveLen(3), "one ADD of each network")
	e.MustOK(e.Del(ctx, s))
	expectDeleted(e, s)
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, e.Request("DEL", moody)))
	expectDeleted(e, moody)
}

// state is what a CHECK must leave alone.
type state struct {
	// Files are the mode and content of each file that the target keeps.
	Files      map[string]string
	Interfaces []Interface
	Status     []map[string]any
}

func stateOf(e *Env, s *Sandbox) state {
	ginkgo.GinkgoHelper()
	now := state{Files: map[string]string{}, Interfaces: s.Interfaces(), Status: e.Status(s)}
	Expect(filepath.WalkDir(e.CacheDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		now.Files[path] = fmt.Sprintf("%s %s", info.Mode(), content)
		return err
	})).To(Succeed())
	return now
}
