// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// definitionOfFile is NET-05: files of both kinds, found by the network name
// in them and not by the file's.
func definitionOfFile(ctx context.Context, e *thick.Env) {
	mark := func(text string) script.Fake { return script.Fake{Extra: map[string]any{"x-from": text}} }
	write := func(file, content string) {
		ginkgo.GinkgoHelper()
		node.ReplaceFile(filepath.Join(e.ConfDir, file), []byte(content))
	}
	write("50-unlike.conflist", e.FakeList("listed", mark("list"), mark("second")))
	write("60-unlike.conf", expect.SinglePlugin(e.FakeList("single", mark("single")), "single"))
	write("70-absent.conflist", e.FakeList("other"))
	for _, name := range []string{"listed", "single", "absent"} {
		e.Definition(name, "")
	}
	e.Start(ctx)
	s := e.Sandbox(node.Networks("single,listed"))
	e.MustOK(e.Add(ctx, s))
	calls := e.CallsFor("ADD", s)
	Expect(expect.Trace(calls)).To(Equal([]string{"default as eth0", "single as net1", "listed as net2", "listed as net2"}), "delegates that were called, in order")
	for i, from := range []string{"single", "list", "second"} {
		Expect(calls[i+1].Config()).To(HaveKeyWithValue("x-from", from), "the configuration that the delegate got")
	}
	Expect(expect.Published(e, s, 3)).To(HaveExactElements(Not(BeNil()),
		HaveKeyWithValue("name", e.Namespace+"/single"), HaveKeyWithValue("name", e.Namespace+"/listed")), "elements of network-status")
	e.MustOK(e.Del(ctx, s))
	Expect(expect.Trace(e.CallsFor("DEL", s))).To(Equal([]string{"listed as net2", "listed as net2", "single as net1", "default as eth0"}), "delegates that were called at DEL, in order")

	ginkgo.By("no file has the name, though one is called like it")
	absent := e.Sandbox(node.Networks("absent"))
	Expect(expect.Refused(e.Add(ctx, absent)).Error()).To(ContainSubstring("absent"), "the text of the error")
	Expect(node.NetworksOf(e.CallsFor("ADD", absent))).NotTo(ContainElement("other"), "networks whose delegates were called at ADD")
	expect.NothingLeft(e, absent)
}

// definitionsOfLists is NET-06.
func definitionsOfLists(ctx context.Context, e *thick.Env) {
	place := func(n int) script.Fake { return script.Fake{Extra: map[string]any{"x-place": n}} }
	e.Definition("three", e.FakeList("three-net", place(1), place(2), place(3)))
	e.Definition("one", e.FakeList("one-net", place(1)))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("three,one@up0,three"))
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Del(ctx, s))
	up := []string{"three-net as net1 1", "three-net as net1 2", "three-net as net1 3", "one-net as up0 1", "three-net as net3 1", "three-net as net3 2", "three-net as net3 3"}
	Expect(places(e.CallsFor("ADD", s))).To(Equal(up), "delegates that were called at ADD, in order")
	Expect(places(e.CallsFor("DEL", s))).To(Equal([]string{"three-net as net3 3", "three-net as net3 2", "three-net as net3 1", "one-net as up0 1",
		"three-net as net1 3", "three-net as net1 2", "three-net as net1 1"}), "DEL goes through lists backwards")
	for _, c := range e.CallsFor("ADD", s) {
		Expect(c.Config()).NotTo(HaveKey("plugins"), "a plugin gets its own configuration, not the list")
	}
}

// definitionsUnusable is NET-17: whoever may write a network definition must
// not end the daemon by it, or anybody else's request.
func definitionsUnusable(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	e.Definition("none", `{"cniVersion":"1.0.0","name":"none","plugins":[]}`)
	e.Definition("typeless", `{"cniVersion":"1.0.0","name":"typeless","plugins":[{"x":1}]}`)
	for _, name := range []string{"none", "typeless"} {
		wrong := e.Sandbox(node.Networks(name))
		Expect(expect.Refused(e.Add(ctx, wrong)).Error()).To(ContainSubstring(name), "the text of the error")
		expect.NothingLeft(e, wrong)
	}
}

// places are the calls of further networks as "network as interface place".
func places(calls []script.Call) []string {
	ginkgo.GinkgoHelper()
	var all []string
	for _, c := range calls {
		if n, ok := c.Config()["x-place"].(float64); ok {
			all = append(all, c.Network+" as "+c.Interface+" "+node.Itoa(int(n)))
		}
	}
	return all
}
