// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// statusOfDelegates is ST-01.
func statusOfDelegates(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	ginkgo.By("a default network of CNI 1.0, which has no STATUS")
	e.DefaultNetwork(e.FakeList("default", script.Fake{Status: script.FakeStep{Error: types.NewError(4, "STATUS is unknown to CNI 1.0", "")}}))
	for _, w := range expect.WaysOf(e) {
		expect.Served(w.Ask(ctx, expect.StatusRequest(e)), "STATUS through "+w.Name)
	}
	e.MustOK(e.Add(ctx, e.Sandbox()))

	ginkgo.By("delegates that can serve ADD")
	good := expect.Versioned(e.FakeList("default", expect.Numbered(script.Fake{}, script.Fake{})...), "1.1.0")
	e.DefaultNetwork(good)
	for _, w := range expect.WaysOf(e) {
		expectAvailable(ctx, e, w)
	}
	for _, want := range []*types.Error{
		types.NewError(51, "the pool is exhausted", "203.0.113.0/24: 254 of 254 in use"),
		types.NewError(50, "the agent is not running", ""),
		types.NewError(120, `a code of its own, "<&>"`, "a\nb"),
	} {
		ginkgo.By("a delegate that answers " + want.Error())
		for at := range 2 {
			plugins := []script.Fake{{}, {}}
			plugins[at].Status = script.FakeStep{Error: want}
			e.DefaultNetwork(expect.Versioned(e.FakeList("default", plugins...), "1.1.0"))
			for _, w := range expect.WaysOf(e) {
				err := expectFailed(w.Ask(ctx, expect.StatusRequest(e)), "STATUS through "+w.Name)
				Expect(err).To(Equal(want), "the error of plugin %d, through %s", at, w.Name)
			}
		}
	}
	ginkgo.By("a delegate that crashes")
	e.DefaultNetwork(expect.Versioned(e.FakeList("default", script.Fake{Status: script.FakeStep{Signal: "SIGKILL"}}), "1.1.0"))
	for _, w := range expect.WaysOf(e) {
		_ = expectFailed(w.Ask(ctx, expect.StatusRequest(e)), "STATUS through "+w.Name)
	}
	ginkgo.By("they can again")
	e.DefaultNetwork(good)
	for _, w := range expect.WaysOf(e) {
		expectAvailable(ctx, e, w)
	}
}

// expectAvailable asserts that STATUS succeeds after asking both plugins of
// the default network, which have their configuration and no sandbox, and
// that ADD is served.
func expectAvailable(ctx context.Context, e *thick.Env, w expect.Way) {
	ginkgo.GinkgoHelper()
	e.ResetCalls()
	expect.Served(w.Ask(ctx, expect.StatusRequest(e)), "STATUS through "+w.Name)
	calls := e.CallsOf("STATUS")
	Expect(expect.PlacesOf(calls)).To(Equal([]string{"default  plugin 0", "default  plugin 1"}), "the plugins that STATUS asks")
	for _, c := range calls {
		Expect([]string{c.ContainerID, c.Interface, c.Netns}).To(HaveEach(BeEmpty()), "the sandbox of a STATUS")
		Expect(filepath.SplitList(c.Path)).To(ContainElement(e.BinDir), "CNI_PATH")
		Expect(c.Config()).To(And(HaveKeyWithValue("name", "default"), HaveKeyWithValue("cniVersion", "1.1.0")), "the configuration that the delegate got")
	}
	e.MustOK(e.Add(ctx, e.Sandbox()))
}

// statusWithoutDefault is ST-02.
func statusWithoutDefault(ctx context.Context, e *thick.Env) {
	list := expect.Versioned(e.FakeList("default"), "1.1.0")
	e.DefaultNetwork(list)
	e.Start(ctx)
	for _, w := range expect.WaysOf(e) {
		expect.Served(w.Ask(ctx, expect.StatusRequest(e)), "STATUS through "+w.Name)
	}
	for _, other := range []string{"", e.FakeList("other")} {
		if other != "" {
			ginkgo.By("another network's configuration does not stand in for it")
			node.ReplaceFile(filepath.Join(e.ConfDir, "20-other.conflist"), []byte(other))
		}
		removed := filepath.Join(e.ConfDir, "10-default.conflist")
		Expect(os.Remove(removed)).To(Succeed())
		for _, w := range expect.WaysOf(e) {
			expect.StatusBecomes(ctx, e, w, 50)
		}
		e.ResetCalls()
		for _, w := range expect.WaysOf(e) {
			err := expectFailed(w.Ask(ctx, expect.StatusRequest(e)), "STATUS without the default network")
			Expect(err.Code).To(Equal(uint(50)), "STATUS through %s: %v", w.Name, err)
		}
		Expect(e.CallsOf("STATUS")).To(BeEmpty(), "delegates of a configuration that is gone")

		ginkgo.By("it is back")
		e.DefaultNetwork(list)
		for _, w := range expect.WaysOf(e) {
			expect.StatusBecomes(ctx, e, w, 0)
		}
		e.MustOK(e.Add(ctx, e.Sandbox()))
	}
}
