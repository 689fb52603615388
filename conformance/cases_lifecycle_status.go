// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// followLimit is how long a daemon may take to follow a change of the default
// network's configuration.
const followLimit = 10 * time.Second

// statusOfDelegates is ST-01.
func statusOfDelegates(ctx context.Context, e *Env) {
	e.Start(ctx)
	ginkgo.By("a default network of CNI 1.0, which has no STATUS")
	e.DefaultNetwork(e.FakeList("default", Fake{Status: FakeStep{Error: types.NewError(4, "STATUS is unknown to CNI 1.0", "")}}))
	for _, w := range e.ways() {
		expectServed(w.ask(ctx, statusRequest(e)), "STATUS through "+w.name)
	}
	e.MustOK(e.Add(ctx, e.Sandbox()))

	ginkgo.By("delegates that can serve ADD")
	good := versioned(e.FakeList("default", numbered(Fake{}, Fake{})...), "1.1.0")
	e.DefaultNetwork(good)
	for _, w := range e.ways() {
		expectAvailable(ctx, e, w)
	}
	for _, want := range []*types.Error{
		types.NewError(51, "the pool is exhausted", "203.0.113.0/24: 254 of 254 in use"),
		types.NewError(50, "the agent is not running", ""),
		types.NewError(120, `a code of its own, "<&>"`, "a\nb"),
	} {
		ginkgo.By("a delegate that answers " + want.Error())
		for at := range 2 {
			plugins := []Fake{{}, {}}
			plugins[at].Status = FakeStep{Error: want}
			e.DefaultNetwork(versioned(e.FakeList("default", plugins...), "1.1.0"))
			for _, w := range e.ways() {
				err := expectFailed(w.ask(ctx, statusRequest(e)), "STATUS through "+w.name)
				Expect(err).To(Equal(want), "the error of plugin %d, through %s", at, w.name)
			}
		}
	}
	ginkgo.By("a delegate that crashes")
	e.DefaultNetwork(versioned(e.FakeList("default", Fake{Status: FakeStep{Signal: "SIGKILL"}}), "1.1.0"))
	for _, w := range e.ways() {
		_ = expectFailed(w.ask(ctx, statusRequest(e)), "STATUS through "+w.name)
	}
	ginkgo.By("they can again")
	e.DefaultNetwork(good)
	for _, w := range e.ways() {
		expectAvailable(ctx, e, w)
	}
}

// expectAvailable asserts that STATUS succeeds after asking both plugins of
// the default network, which have their configuration and no sandbox, and
// that ADD is served.
func expectAvailable(ctx context.Context, e *Env, w way) {
	ginkgo.GinkgoHelper()
	e.ResetCalls()
	expectServed(w.ask(ctx, statusRequest(e)), "STATUS through "+w.name)
	calls := e.CallsOf("STATUS")
	Expect(placesOf(calls)).To(Equal([]string{"default  plugin 0", "default  plugin 1"}), "the plugins that STATUS asks")
	for _, c := range calls {
		Expect([]string{c.ContainerID, c.Interface, c.Netns}).To(HaveEach(BeEmpty()), "the sandbox of a STATUS")
		Expect(filepath.SplitList(c.Path)).To(ContainElement(e.BinDir), "CNI_PATH")
		Expect(c.Config()).To(And(HaveKeyWithValue("name", "default"), HaveKeyWithValue("cniVersion", "1.1.0")))
	}
	e.MustOK(e.Add(ctx, e.Sandbox()))
}

// statusWithoutDefault is ST-02.
func statusWithoutDefault(ctx context.Context, e *Env) {
	list := versioned(e.FakeList("default"), "1.1.0")
	e.DefaultNetwork(list)
	e.Start(ctx)
	for _, w := range e.ways() {
		expectServed(w.ask(ctx, statusRequest(e)), "STATUS through "+w.name)
	}
	for _, other := range []string{"", e.FakeList("other")} {
		if other != "" {
			ginkgo.By("another network's configuration is no substitute")
			replaceFile(filepath.Join(e.ConfDir, "20-other.conflist"), []byte(other))
		}
		removed := filepath.Join(e.ConfDir, "10-default.conflist")
		Expect(os.Remove(removed)).To(Succeed())
		for _, w := range e.ways() {
			expectStatusBecomes(ctx, e, w, 50)
		}
		e.ResetCalls()
		for _, w := range e.ways() {
			err := expectFailed(w.ask(ctx, statusRequest(e)), "STATUS without the default network")
			Expect(err.Code).To(Equal(uint(50)), "STATUS through %s: %v", w.name, err)
		}
		Expect(e.CallsOf("STATUS")).To(BeEmpty(), "delegates of a configuration that is gone")

		ginkgo.By("it is back")
		e.DefaultNetwork(list)
		for _, w := range e.ways() {
			expectStatusBecomes(ctx, e, w, 0)
		}
		e.MustOK(e.Add(ctx, e.Sandbox()))
	}
}

// expectStatusBecomes asserts that STATUS soon ends with a code, 0 for a
// success.
func expectStatusBecomes(ctx context.Context, e *Env, w way, code uint) {
	ginkgo.GinkgoHelper()
	Eventually(func() uint {
		if err := w.ask(ctx, statusRequest(e)); err != nil {
			return err.Code
		}
		return 0
	}).WithContext(ctx).WithTimeout(followLimit).WithPolling(5*pollInterval).Should(Equal(code), "STATUS through %s", w.name)
}
