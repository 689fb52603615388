// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// gcDisabledAndFailing is GC-03.
func gcDisabledAndFailing(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(expect.Versioned(e.FakeList("default", expect.RealInterface()), "1.1.0"))
	e.Definition("blue", expect.Versioned(e.FakeList("blue", expect.RealInterface()), "1.1.0"))
	e.Definition("quiet", gcDisabled(expect.Versioned(e.FakeList("quiet", expect.Numbered(expect.RealInterface(), script.Fake{})...), "1.1.0")))
	e.Start(ctx)
	ginkgo.By("disableGC of the request")
	s := e.Sandbox(node.Networks("blue,quiet"))
	e.MustOK(e.Add(ctx, s))
	before := expect.StateOf(e, s)
	for _, w := range expect.WaysOf(e) {
		expect.Served(w.Ask(ctx, expect.WithKey(expect.GcRequest(e), "disableGC", true)), "GC that is switched off, through "+w.Name)
		expect.Untouched(ctx, e, s, before)
		Expect(node.NetworksOf(e.CallsOf("GC"))).To(BeEmpty(), "GC of delegates though it is switched off")
	}

	ginkgo.By("disableGC of one network")
	for _, w := range expect.WaysOf(e) {
		e.ResetCalls()
		expect.Served(w.Ask(ctx, expect.WithKey(expect.GcRequest(e, s), "disableGC", false)), "GC through "+w.Name)
		Expect(node.NetworksOf(e.CallsOf("GC"))).To(ConsistOf("default", "blue"), "the networks whose delegates get GC")
		Expect(expect.StateOf(e, s)).To(Equal(before), "a container that is named")
	}

	ginkgo.By("disableGC of the default network")
	e.DefaultNetwork(gcDisabled(expect.Versioned(e.FakeList("default", expect.RealInterface()), "1.1.0")))
	e.MustOK(e.Del(ctx, s))
	s = e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, s))
	e.ResetCalls()
	expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.GcRequest(e, s)), "GC")
	Expect(node.NetworksOf(e.CallsOf("GC"))).To(Equal([]string{"blue"}), "the networks whose delegates get GC")
	e.MustOK(e.Del(ctx, s))

	for _, w := range expect.WaysOf(e) {
		gcFailing(ctx, e, w)
	}
}

// gcDisabled switches GC off in a configuration list.
func gcDisabled(list string) string {
	ginkgo.GinkgoHelper()
	var config map[string]any
	Expect(json.Unmarshal([]byte(list), &config)).To(Succeed())
	config["disableGC"] = true
	return string(node.MustJSON(config))
}

// gcFailing has delegates fail at DEL and at GC, each the first to be asked
// in what comes in an order.
func gcFailing(ctx context.Context, e *thick.Env, w expect.Way) {
	ginkgo.GinkgoHelper()
	ginkgo.By("delegates that fail, through " + w.Name)
	e.ResetCalls()
	once := func(code uint, msg string) script.FakeStep {
		return script.FakeStep{Error: types.NewError(code, msg, ""), Times: 1}
	}
	stuck, failing := "stuck-"+node.RandomHex(2), "failing-"+node.RandomHex(2)
	e.DefaultNetwork(expect.Versioned(e.FakeList("default", expect.RealInterface()), "1.1.0"))
	e.Definition(stuck, e.FakeList(stuck, script.Fake{Del: once(151, "the port is stuck")}))
	e.Definition(failing, expect.Versioned(e.FakeList(failing, script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true}, GC: once(152, "the pool is locked")}, script.Fake{}), "1.1.0"))
	var stale []*node.Sandbox
	for _, prefix := range []string{"0", "1", "e", "f"} {
		stale = append(stale, e.Sandbox(node.ContainerID(prefix+node.RandomHex(20)), node.Networks("blue,"+stuck)))
	}
	stale = append(stale, e.Sandbox(node.ContainerID("00"+node.RandomHex(20)), node.Networks("blue")), e.Sandbox(node.ContainerID("ff"+node.RandomHex(20)), node.Networks("blue")))
	waiting, uninstall, install := removablePlugin(e)
	stuckForLong := e.Sandbox(node.Networks("blue," + waiting))
	kept := e.Sandbox(node.Networks(failing + ",blue"))
	for _, s := range append(stale, stuckForLong, kept) {
		e.MustOK(e.Add(ctx, s))
	}
	uninstall()
	err := expectFailed(w.Ask(ctx, expect.GcRequest(e, kept)), "GC with delegates that fail")
	Expect(err.Error()+err.Details).To(And(ContainSubstring("the port is stuck"), ContainSubstring("the pool is locked")), "what failed")
	for _, s := range append(stale, stuckForLong) {
		Expect(s.InterfaceNames()).To(BeEmpty(), "the interfaces of the networks that did not fail")
	}
	for _, s := range stale[4:] {
		expect.Deleted(e, s)
	}
	Expect(node.NetworksOf(e.CallsOf("GC"))).To(ContainElements("default", failing, failing, "blue"), "GC of every plugin")
	Expect(e.CallsFor("DEL", kept)).To(BeEmpty(), "DEL of a container that is named")

	ginkgo.By("the next GC tries again")
	install()
	e.ResetCalls()
	expect.Served(w.Ask(ctx, expect.GcRequest(e, kept)), "the next GC")
	Expect(expect.PlacesOf(e.CallsFor("DEL", stuckForLong))).To(ContainElement(waiting+" net2"), "DEL of what had failed")
	for _, s := range append(stale, stuckForLong) {
		Expect(e.Leftovers(s)).To(BeEmpty(), "what the next GC left")
	}
	e.MustOK(e.Check(ctx, kept))
	e.MustOK(e.Del(ctx, kept))
}

// removablePlugin makes a network whose plugin can be taken away, so that its
// DEL fails however often it is tried, and put back.
func removablePlugin(e *thick.Env) (network string, uninstall, install func()) {
	ginkgo.GinkgoHelper()
	network = "waiting-" + node.RandomHex(2)
	path := filepath.Join(e.BinDir, network)
	e.Definition(network, e.FakeList(network, script.Fake{Type: network}))
	uninstall = func() { Expect(os.Remove(path)).To(Succeed()) }
	install = func() { Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), path)).To(Succeed()) }
	install()
	return network, uninstall, install
}

// gcWithoutSandbox is GC-04.
func gcWithoutSandbox(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(expect.Versioned(e.FakeList("default", expect.RealInterface()), "1.1.0"))
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
		for _, w := range expect.WaysOf(e) {
			expectNodeCommands(ctx, e, w, kept, what+", through "+w.Name, func(r *api.Request) *api.Request {
				change(r.Env)
				return r
			})
		}
	}
}

// expectNodeCommands asserts that GC and STATUS do their work for requests
// that were changed so.
func expectNodeCommands(ctx context.Context, e *thick.Env, w expect.Way, kept *node.Sandbox, what string, changed func(*api.Request) *api.Request) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the variables are " + what)
	stale := e.Sandbox()
	e.MustOK(e.Add(ctx, stale))
	e.DeletePod(stale)
	e.ResetCalls()
	expect.Served(w.Ask(ctx, changed(expect.StatusRequest(e))), "STATUS")
	Expect(node.NetworksOf(e.CallsOf("STATUS"))).To(Equal([]string{"default"}), "STATUS asks the delegate")
	expect.Served(w.Ask(ctx, changed(expect.GcRequest(e, kept))), "GC")
	Expect(node.NetworksOf(e.CallsOf("GC"))).To(Equal([]string{"default"}), "GC asks the delegate")
	Expect(expect.PlacesOf(e.CallsFor("DEL", stale))).To(Equal([]string{"default eth0"}), "delegates that were called at DEL, in order")
	Expect(e.Leftovers(stale)).To(BeEmpty(), "what GC left")
	e.MustOK(e.Check(ctx, kept))
	Expect(e.CallsFor("DEL", kept)).To(BeEmpty(), "DEL of a container that is named")
}
