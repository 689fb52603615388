// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// gcDisabledAndFailing is GC-03.
func gcDisabledAndFailing(ctx context.Context, e *Env) {
	e.DefaultNetwork(versioned(e.FakeList("default", realInterface()), "1.1.0"))
	e.Definition("blue", versioned(e.FakeList("blue", realInterface()), "1.1.0"))
	e.Definition("quiet", gcDisabled(versioned(e.FakeList("quiet", numbered(realInterface(), Fake{})...), "1.1.0")))
	e.Start(ctx)
	ginkgo.By("disableGC of the request")
	s := e.Sandbox(Networks("blue,quiet"))
	e.MustOK(e.Add(ctx, s))
	before := stateOf(e, s).of(s)
	for _, w := range e.ways() {
		expectServed(w.ask(ctx, withKey(gcRequest(e), "disableGC", true)), "GC that is switched off, through "+w.name)
		expectUntouched(ctx, e, s, before)
		Expect(networksOf(e.CallsOf("GC"))).To(BeEmpty(), "GC of delegates though it is switched off")
	}

	ginkgo.By("disableGC of one network")
	for _, w := range e.ways() {
		e.ResetCalls()
		expectServed(w.ask(ctx, withKey(gcRequest(e, s), "disableGC", false)), "GC through "+w.name)
		Expect(networksOf(e.CallsOf("GC"))).To(ConsistOf("default", "blue"), "the networks whose delegates get GC")
		Expect(stateOf(e, s).of(s)).To(Equal(before), "a container that is named")
	}

	ginkgo.By("disableGC of the default network")
	e.DefaultNetwork(gcDisabled(versioned(e.FakeList("default", realInterface()), "1.1.0")))
	e.MustOK(e.Del(ctx, s))
	s = e.Sandbox(Networks("blue"))
	e.MustOK(e.Add(ctx, s))
	e.ResetCalls()
	expectServed(e.ways()[0].ask(ctx, gcRequest(e, s)), "GC")
	Expect(networksOf(e.CallsOf("GC"))).To(Equal([]string{"blue"}), "the networks whose delegates get GC")
	e.MustOK(e.Del(ctx, s))

	for _, w := range e.ways() {
		gcFailing(ctx, e, w)
	}
}

// gcDisabled switches GC off in a configuration list.
func gcDisabled(list string) string {
	ginkgo.GinkgoHelper()
	var config map[string]any
	Expect(json.Unmarshal([]byte(list), &config)).To(Succeed())
	config["disableGC"] = true
	return string(mustJSON(config))
}

// gcFailing has delegates fail at DEL and at GC, each the first to be asked
// in what comes in an order.
func gcFailing(ctx context.Context, e *Env, w way) {
	ginkgo.GinkgoHelper()
	ginkgo.By("delegates that fail, through " + w.name)
	e.ResetCalls()
	once := func(code uint, msg string) FakeStep { return FakeStep{Error: types.NewError(code, msg, ""), Times: 1} }
	stuck, failing := "stuck-"+randomHex(2), "failing-"+randomHex(2)
	e.DefaultNetwork(versioned(e.FakeList("default", realInterface()), "1.1.0"))
	e.Definition(stuck, e.FakeList(stuck, Fake{Del: once(151, "the port is stuck")}))
	e.Definition(failing, versioned(e.FakeList(failing, Fake{GC: once(152, "the pool is locked")}, Fake{}), "1.1.0"))
	var stale []*Sandbox
	for _, prefix := range []string{"0", "1", "e", "f"} {
		stale = append(stale, e.Sandbox(ContainerID(prefix+randomHex(20)), Networks("blue,"+stuck)))
	}
	stale = append(stale, e.Sandbox(ContainerID("00"+randomHex(20)), Networks("blue")), e.Sandbox(ContainerID("ff"+randomHex(20)), Networks("blue")))
	waiting, uninstall, install := removablePlugin(e)
	stuckForLong := e.Sandbox(Networks("blue," + waiting))
	kept := e.Sandbox(Networks(failing + ",blue"))
	for _, s := range append(stale, stuckForLong, kept) {
		e.MustOK(e.Add(ctx, s))
	}
	uninstall()
	err := expectFailed(w.ask(ctx, gcRequest(e, kept)), "GC with delegates that fail")
	Expect(err.Error()+err.Details).To(And(ContainSubstring("the port is stuck"), ContainSubstring("the pool is locked")), "what failed")
	for _, s := range append(stale, stuckForLong) {
		Expect(s.InterfaceNames()).To(BeEmpty(), "the interfaces of the networks that did not fail")
	}
	for _, s := range stale[4:] {
		expectDeleted(e, s)
	}
	Expect(networksOf(e.CallsOf("GC"))).To(ContainElements("default", failing, failing, "blue"), "GC of every plugin")
	Expect(e.CallsFor("DEL", kept)).To(BeEmpty(), "DEL of a container that is named")

	ginkgo.By("the next GC tries again")
	install()
	e.ResetCalls()
	expectServed(w.ask(ctx, gcRequest(e, kept)), "the next GC")
	Expect(placesOf(e.CallsFor("DEL", stuckForLong))).To(ContainElement(waiting+" net2"), "DEL of what had failed")
	for _, s := range append(stale, stuckForLong) {
		Expect(e.Leftovers(s)).To(BeEmpty(), "what the next GC left")
	}
	e.MustOK(e.Check(ctx, kept))
	e.MustOK(e.Del(ctx, kept))
}

// removablePlugin makes a network whose plugin can be taken away, so that its
// DEL fails however often it is tried, and put back.
func removablePlugin(e *Env) (network string, uninstall, install func()) {
	ginkgo.GinkgoHelper()
	network = "waiting-" + randomHex(2)
	path := filepath.Join(e.BinDir, network)
	e.Definition(network, e.FakeList(network, Fake{Type: network}))
	uninstall = func() { Expect(os.Remove(path)).To(Succeed()) }
	install = func() { Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), path)).To(Succeed()) }
	install()
	return network, uninstall, install
}

// gcWithoutSandbox is GC-04.
func gcWithoutSandbox(ctx context.Context, e *Env) {
	e.DefaultNetwork(versioned(e.FakeList("default", realInterface()), "1.1.0"))
	e.Start(ctx)
	kept := e.Sandbox()
	e.MustOK(e.Add(ctx, kept))
	for what, change := range map[string]func(map[string]string){
		"not set": func(env map[string]string) {
			Expect(env).To(And(HaveLen(2), HaveKey("CNI_COMMAND"), HaveKey("CNI_PATH")), "the variables of a request without a sandbox")
		},
		"empty": func(env map[string]string) {
			for _, name := range []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"} {
				env[name] = ""
			}
		},
	} {
		for _, w := range e.ways() {
			expectNodeCommands(ctx, e, w, kept, what+", through "+w.name, func(r *api.Request) *api.Request {
				change(r.Env)
				return r
			})
		}
	}
}

// expectNodeCommands asserts that GC and STATUS do their work for requests
// that were changed so.
func expectNodeCommands(ctx context.Context, e *Env, w way, kept *Sandbox, what string, changed func(*api.Request) *api.Request) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the variables are " + what)
	stale := e.Sandbox()
	e.MustOK(e.Add(ctx, stale))
	e.DeletePod(stale)
	e.ResetCalls()
	expectServed(w.ask(ctx, changed(statusRequest(e))), "STATUS")
	Expect(networksOf(e.CallsOf("STATUS"))).To(Equal([]string{"default"}), "STATUS asks the delegate")
	expectServed(w.ask(ctx, changed(gcRequest(e, kept))), "GC")
	Expect(networksOf(e.CallsOf("GC"))).To(Equal([]string{"default"}), "GC asks the delegate")
	Expect(placesOf(e.CallsFor("DEL", stale))).To(Equal([]string{"default eth0"}))
	Expect(e.Leftovers(stale)).To(BeEmpty(), "what GC left")
	e.MustOK(e.Check(ctx, kept))
	Expect(e.CallsFor("DEL", kept)).To(BeEmpty(), "DEL of a container that is named")
}
