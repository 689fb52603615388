// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var cases = []thick.Case{
	{
		ID: "CHECK-01", Level: spec.Must, Source: "CNI", Body: checkEveryAttachment,
		Title: "Every attachment of the container is checked, not only the default network's",
	},
	{
		ID: "CHECK-02", Level: spec.Must, Source: "CNI", Body: checkParametersOfAdd,
		Title: "Each delegate gets the prevResult and the parameters of its ADD",
	},
	{
		ID: "CHECK-03", Level: spec.Must, Source: "CNI", Body: checkFirstFailure,
		Title: "The first failure's code, msg and details are returned",
	},
	{
		ID: "CHECK-04", Level: spec.Must, Source: "CNI", Body: checkVanished, Slow: 8 * time.Second,
		Title: "An interface or address that vanished from the namespace makes CHECK fail",
	},
	{
		ID: "CHECK-05", Level: spec.Must, Source: "CNI", Body: checkPassedOver,
		Title: "disableCheck, and networks below 0.4.0, are passed over",
	},
	{
		ID: "CHECK-06", Level: spec.Should, Source: "CNI", Body: checkUnknownContainer, Live: liveUnknownCheck,
		Title: "A container never added, or deleted: error",
	},
	{
		ID: "CHECK-07", Level: spec.Must, Source: "CNI", Body: checkChangesNothing,
		Title: "CHECK changes nothing, and succeeds right after ADD and after a daemon's restart",
	},
}

// checkEveryAttachment is CHECK-01.
func checkEveryAttachment(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.DefaultNetwork(e.FakeList("default", expect.Numbered(script.Fake{}, script.Fake{})...))
	e.Definition("blue", e.FakeList("blue", expect.Numbered(script.Fake{}, script.Fake{}, script.Fake{})...))
	e.Definition("green", e.FakeList("green"))
	e.Start(ctx)
	other, s, alone := e.Sandbox(node.Networks("green")), e.Sandbox(node.Networks("blue,green@data0,green")), e.Sandbox()
	for _, sandbox := range []*node.Sandbox{other, s, alone} {
		e.MustOK(e.Add(ctx, sandbox))
	}
	a := e.MustOK(e.Check(ctx, s))
	Expect(string(a.Body)).To(Or(BeEmpty(), MatchJSON("{}")), "the answer to CHECK")
	checked := e.CallsFor("CHECK", s)
	Expect(expect.PlacesOf(checked)).To(Equal([]string{"default eth0 plugin 0", "default eth0 plugin 1",
		"blue net1 plugin 0", "blue net1 plugin 1", "blue net1 plugin 2", "green data0", "green net3"}), "delegates that were called at CHECK, in order")
	expect.NoOverlap(checked)
	for _, c := range checked {
		Expect(c.Netns).To(Equal(s.Netns), "CNI_NETNS")
	}
	Expect(e.CallsOf("CHECK")).To(HaveLen(len(checked)), "no other container is checked")
	e.MustOK(e.Check(ctx, alone))
	Expect(expect.PlacesOf(e.CallsFor("CHECK", alone))).To(Equal([]string{"default eth0 plugin 0", "default eth0 plugin 1"}), "delegates that were called at CHECK, in order")
}

// checkParametersOfAdd is CHECK-02, before and after everything that the
// parameters came from has changed.
func checkParametersOfAdd(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	ginkgo.By("configuration, runtimeConfig and arguments")
	expect.DemandingNetworks(e)
	d := e.Start(ctx)
	s := expect.AddDemanding(ctx, e)
	expect.Checked(ctx, e, s, expect.WithHostPort(e, "CHECK", s))
	expect.ReplaceNetworks(e)
	e.WritePod(s, map[string]string{"k8s.v1.cni.cncf.io/networks": "green@x1"})
	expect.Checked(ctx, e, s, expect.WithHostPort(e, "CHECK", s))
	e.DeletePod(s)
	d = expect.Restarted(ctx, e, d)
	expect.Checked(ctx, e, s, expect.WithHostPort(e, "CHECK", s))

	ginkgo.By("the result of each network")
	blue, green := expect.ChainedResults(e)
	s = e.Sandbox(node.Networks("blue,green"))
	result := e.MustOK(e.Add(ctx, s)).Result()
	for range 2 {
		checked := expect.Checked(ctx, e, s, e.Request("CHECK", s))
		Expect(node.NetworksOf(checked)).To(Equal([]string{"default", "default", "blue", "blue", "blue", "green"}), "networks whose delegates were called at CHECK")
		expect.PrevResultOf(result, checked[:2])
		expect.PrevResultOf(blue, checked[2:5])
		expect.PrevResultOf(green, checked[5:])
		expect.ReplaceNetworks(e)
		d = expect.Restarted(ctx, e, d)
	}
}

// checkFirstFailure is CHECK-03: two networks fail, the later one always, the
// earlier one once, and then the default network.
func checkFirstFailure(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	earlier := types.NewError(231, "net1 has lost its route", "192.0.2.0/24 via 203.0.113.1")
	later := types.NewError(7, "a code that the CNI spec knows", "with \"quotes\"\nand lines")
	e.Definition("blue", e.FakeList("blue", expect.Numbered(script.Fake{}, script.Fake{Check: script.FakeStep{Error: earlier, Times: 1}}, script.Fake{})...))
	e.Definition("green", e.FakeList("green", script.Fake{Check: script.FakeStep{Error: later}}))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("blue,green"))
	e.MustOK(e.Add(ctx, s))
	expect.CheckFails(ctx, e, s, earlier)
	expect.CheckFails(ctx, e, s, later)

	ginkgo.By("an error without details, of the default network")
	first := types.NewError(100, "eth0 is down", "")
	e.DefaultNetwork(e.FakeList("default", script.Fake{Check: script.FakeStep{Error: first}}))
	s = e.Sandbox(node.Networks("blue,green"))
	e.MustOK(e.Add(ctx, s))
	expect.CheckFails(ctx, e, s, first)

	ginkgo.By("a delegate that crashes at CHECK")
	e.DefaultNetwork(e.FakeList("default", script.Fake{Check: script.FakeStep{Signal: "SIGKILL"}}))
	s = e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	a := e.Check(ctx, s)
	Expect(a.OK()).To(BeFalse(), "CHECK succeeds though the delegate crashed")
	Expect(a.Error()).NotTo(BeNil(), "a CNI error; the answer is %s", a)
}

// checkPassedOver is CHECK-05.
func checkPassedOver(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	// Where CHECK is called in spite of it, it fails.
	refusing := script.Fake{Check: script.FakeStep{Error: types.NewError(997, "CHECK is switched off", "")}}
	with := func(list, key string, value any) string {
		var config map[string]any
		Expect(json.Unmarshal([]byte(list), &config)).To(Succeed())
		config[key] = value
		return string(node.MustJSON(config))
	}
	e.Definition("unchecked", with(e.FakeList("unchecked", refusing, refusing), "disableCheck", true))
	e.Definition("checked", with(e.FakeList("checked"), "disableCheck", false))
	for _, v := range []string{"0.3.1", "0.3.0"} {
		name := "old-" + strings.ReplaceAll(v, ".", "")
		e.Definition(name, with(e.FakeList(name, refusing), "cniVersion", v))
	}
	e.Definition("v040", with(e.FakeList("v040"), "cniVersion", "0.4.0"))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("unchecked,checked,old-031,old-030,v040"))
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Check(ctx, s))
	Expect(node.NetworksOf(e.CallsFor("CHECK", s))).To(Equal([]string{"default", "checked", "v040"}), "networks whose delegates were called at CHECK")
	e.MustOK(e.Del(ctx, s))
	Expect(e.CallsFor("DEL", s)).To(HaveLen(7), "DEL passes none of them over")

	ginkgo.By("the default network")
	for _, list := range []string{
		with(e.FakeList("default", refusing), "disableCheck", true), with(e.FakeList("default", refusing), "cniVersion", "0.3.1"),
	} {
		e.DefaultNetwork(list)
		s = e.Sandbox(node.Networks("checked"))
		e.MustOK(e.Add(ctx, s))
		e.MustOK(e.Check(ctx, s))
		Expect(node.NetworksOf(e.CallsFor("CHECK", s))).To(Equal([]string{"checked"}), "networks whose delegates were called at CHECK")
	}
}
