// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var impostorsCases = []thick.Case{
	{
		ID: "SEC-13", Level: spec.Must, Source: "OPS", Body: securityImpostors, Needs: []spec.Feature{thick.FeatureGC},
		Title: "A definition that carries the default network's CNI name changes nothing for that one's CHECK, GC and DEL",
	},
}

// securityImpostors is SEC-13: definitions whose configuration has the name of
// the default network, or of each other.
func securityImpostors(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(gcList(e, "default", marked("genuine")))
	refusing := marked("refusing")
	refusing.GC = script.FakeStep{Error: types.NewError(131, "no GC here", "")}
	e.Definition("plain", gcList(e, "default", marked("plain")))
	e.Definition("refusing", gcList(e, "default", refusing))
	e.Definition("silent", withoutGC(gcList(e, "default", marked("silent"))))
	e.Definition("left", gcList(e, "shared", marked("left")))
	e.Definition("right", gcList(e, "shared", marked("right")))
	e.Start(ctx)
	genuine := e.Sandbox()
	e.MustOK(e.Add(ctx, genuine))
	for _, impostor := range []string{"plain", "refusing", "silent"} {
		ginkgo.By(impostor + " carries the default network's name")
		s := e.Sandbox(node.Networks(impostor))
		e.MustOK(e.Add(ctx, s))
		e.ResetCalls()
		e.Post(ctx, api.MultusCNIAPIEndpoint, expect.GcRequest(e, genuine, s)) // refusing fails it, and no more
		expectSwept(e, "genuine", place(genuine, "eth0"), place(s, "eth0"), place(s, "net1"))
		expectSpared(e, "default", place(genuine, "eth0"), place(s, "eth0"), place(s, "net1"))
		expectOwnConfigurations(ctx, e, s, map[string]string{"eth0": "genuine", "net1": impostor})
	}
	ginkgo.By("two definitions carry one name")
	left, right := e.Sandbox(node.Networks("left")), e.Sandbox(node.Networks("right"))
	e.MustOK(e.Add(ctx, left))
	e.MustOK(e.Add(ctx, right))
	e.ResetCalls()
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, expect.GcRequest(e, genuine, left, right)))
	if swept(e, "left")+swept(e, "right") > 0 { // that further networks get GC at all is GC-02's
		for _, marker := range []string{"left", "right"} {
			expectSwept(e, marker, place(left, "net1"), place(right, "net1"))
		}
	}
	expectOwnConfigurations(ctx, e, left, map[string]string{"eth0": "genuine", "net1": "left"})
	expectOwnConfigurations(ctx, e, right, map[string]string{"eth0": "genuine", "net1": "right"})
	expectOwnConfigurations(ctx, e, genuine, map[string]string{"eth0": "genuine"})
}

// gcList is a network in the version of CNI that has GC.
func gcList(e *thick.Env, network string, fake script.Fake) string {
	ginkgo.GinkgoHelper()
	return expect.Versioned(e.FakeList(network, fake), "1.1.0")
}

// marked is a fake whose configuration says whose it is.
func marked(marker string) script.Fake {
	fake := expect.VethFake()
	fake.Extra = map[string]any{"marker": marker}
	return fake
}

func withoutGC(list string) string {
	ginkgo.GinkgoHelper()
	var conf map[string]any
	Expect(json.Unmarshal([]byte(list), &conf)).To(Succeed())
	conf["disableGC"] = true
	return string(node.MustJSON(conf))
}

func place(s *node.Sandbox, ifName string) string { return s.ID + " " + ifName }

// validIn are the attachments that a GC was told of.
func validIn(c script.Call) []string {
	ginkgo.GinkgoHelper()
	var conf struct {
		Valid []struct {
			ContainerID string `json:"containerID"`
			IfName      string `json:"ifname"`
		} `json:"cni.dev/valid-attachments"`
	}
	Expect(json.Unmarshal(c.Stdin, &conf)).To(Succeed(), "JSON is expected here: %s", c.Stdin)
	all := []string{}
	for _, v := range conf.Valid {
		all = append(all, v.ContainerID+" "+v.IfName)
	}
	return all
}

// expectSwept asserts that the delegates of one configuration got a GC with
// these attachments.
func expectSwept(e *thick.Env, marker string, valid ...string) {
	ginkgo.GinkgoHelper()
	for _, c := range e.CallsOf("GC") {
		if c.Config()["marker"] == marker {
			Expect(validIn(c)).To(ContainElements(valid), "the valid attachments of the GC of %s", marker)
		}
	}
	Expect(swept(e, marker)).To(BeNumerically(">", 0), "GCs of %s", marker)
}

// swept counts the GCs of one configuration's delegates.
func swept(e *thick.Env, marker string) int {
	ginkgo.GinkgoHelper()
	count := 0
	for _, c := range e.CallsOf("GC") {
		if c.Config()["marker"] == marker {
			count++
		}
	}
	return count
}

// expectSpared asserts that no GC under a name was told that attachments of
// another configuration of that name are not valid.
func expectSpared(e *thick.Env, network string, valid ...string) {
	ginkgo.GinkgoHelper()
	for _, c := range e.CallsOf("GC") {
		if c.Network == network {
			Expect(validIn(c)).To(ContainElements(valid), "the valid attachments of a GC of %v, which keeps its state under the name %s", c.Config()["marker"], network)
		}
	}
}

// expectOwnConfigurations asserts that CHECK and DEL call each interface's own
// delegates.
func expectOwnConfigurations(ctx context.Context, e *thick.Env, s *node.Sandbox, markers map[string]string) {
	ginkgo.GinkgoHelper()
	e.MustOK(e.Check(ctx, s))
	e.MustOK(e.Del(ctx, s))
	for _, command := range []string{"CHECK", "DEL"} {
		got := map[string]string{}
		for _, c := range e.CallsFor(command, s) {
			got[c.Interface] = fmt.Sprint(c.Config()["marker"])
		}
		if command == "CHECK" && len(got) == 0 {
			continue // that CHECK reaches delegates at all is CHECK-01's
		}
		Expect(got).To(Equal(markers), "the configurations of %s, by interface", command)
	}
	Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
}
