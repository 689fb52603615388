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

// defaultNetworkAnnotation replaces one pod's default network.
const defaultNetworkAnnotation = "v1.multus-cni.io/default-network"

// defaultNetworkOfPod is NET-04.
func defaultNetworkOfPod(ctx context.Context, e *thick.Env) {
	shared := e.NewNamespace()
	e.Definition("alpha", e.FakeList("alpha"))
	e.Definition("special", e.FakeList("special", script.Fake{Add: script.FakeStep{Addresses: []string{"198.51.100.7/24"}}}))
	e.DefinitionIn(shared, "central", e.FakeList("central"))
	e.Start(ctx, thick.HomeNamespace(shared))
	for annotation, network := range map[string]string{
		e.Namespace + "/special":                                 "special",
		`[{"name":"special","namespace":"` + e.Namespace + `"}]`: "special",
		"central": "central", // in Multus' own namespace, unless it says another
	} {
		ginkgo.By(defaultNetworkAnnotation + ": " + annotation)
		s := e.Sandbox(node.Annotation(defaultNetworkAnnotation, annotation), node.Networks("alpha"))
		answer := e.MustOK(e.Add(ctx, s))
		Expect(expect.Trace(e.CallsFor("ADD", s))).To(Equal([]string{network + " as eth0", "alpha as net1"}), "delegates that were called at ADD, in order")
		if network == "special" {
			Expect(node.MustJSON(answer.Result().IPs)).To(ContainSubstring("198.51.100.7"), "the result is the replacing network's")
		}
		status := expect.Published(e, s, 2)
		Expect(status[0]).To(And(HaveKeyWithValue("interface", "eth0"), HaveKeyWithValue("default", true)), "element 0 of network-status")
		Expect(status[1]["default"]).To(Or(BeNil(), BeFalse()), "default of element 1 of network-status")
		e.MustOK(e.Del(ctx, s))
		Expect(expect.Trace(e.CallsFor("DEL", s))).To(Equal([]string{"alpha as net1", network + " as eth0"}), "delegates that were called at DEL, in order")
	}
	ginkgo.By("a pod without it")
	usual := e.Sandbox(node.Networks("alpha"))
	e.MustOK(e.Add(ctx, usual))
	Expect(expect.Trace(e.CallsFor("ADD", usual))).To(Equal([]string{"default as eth0", "alpha as net1"}), "delegates that were called at ADD, in order")
	ginkgo.By("one that does not exist")
	absent := e.Sandbox(node.Annotation(defaultNetworkAnnotation, e.Namespace+"/absent"))
	Expect(expect.Refused(e.Add(ctx, absent)).Error()).To(ContainSubstring("absent"), "the text of the error")
	Expect(e.CallsFor("ADD", absent)).To(BeEmpty(), "no other network takes the place of the one that was asked for")
}

// networksOfTheNode is NET-11: what the daemon's configuration says for all pods.
func networksOfTheNode(ctx context.Context, e *thick.Env) {
	shared, system := e.NewNamespace(), e.NewNamespace()
	e.DefinitionIn(shared, "base", e.FakeList("base"))
	e.DefinitionIn(shared, "every", e.FakeList("every"))
	e.DefinitionIn(shared, "more", e.FakeList("more"))
	e.Definition("alpha", e.FakeList("alpha"))
	file := e.File("networks/20-file.conflist", e.FakeList("of-file"))
	e.File("networks/10-first.conflist", e.FakeList("of-directory"))
	e.File("networks/00-readme.txt", "no configuration")
	namespace := thick.HomeNamespace(shared)
	for clusterNetwork, network := range map[string]string{
		"base": "base", file: "of-file", filepath.Dir(file): "of-directory",
	} {
		ginkgo.By("clusterNetwork: " + clusterNetwork)
		d := e.Start(ctx, namespace, thick.DefaultNetworkIs(clusterNetwork))
		s := e.Sandbox(node.Networks("alpha"))
		e.MustOK(e.Add(ctx, s))
		Expect(expect.Trace(e.CallsFor("ADD", s))).To(Equal([]string{network + " as eth0", "alpha as net1"}), "delegates that were called at ADD, in order")
		e.MustOK(e.Del(ctx, s))
		d.Stop(ctx)
	}

	ginkgo.By("defaultNetworks, and systemNamespaces without them")
	e.Start(ctx, namespace, thick.EveryPodGets([]string{"every", "more"}, []string{system}))
	for _, s := range []*node.Sandbox{e.Sandbox(node.Networks("alpha")), e.Sandbox(node.PodNamespace(system), node.Networks(e.Namespace+"/alpha"))} {
		want := []string{"default as eth0", "every as net1", "more as net2", "alpha as net3"}
		if s.PodNamespace == system {
			want = []string{"default as eth0", "alpha as net1"}
		}
		e.MustOK(e.Add(ctx, s))
		Expect(expect.Trace(e.CallsFor("ADD", s))).To(Equal(want), "networks of a pod of namespace %s; systemNamespaces is %s", s.PodNamespace, system)
		e.MustOK(e.Del(ctx, s))
	}
	ginkgo.By("a pod elsewhere that selects a network of a system namespace")
	e.DefinitionIn(system, "inner", e.FakeList("inner"))
	s := e.Sandbox(node.Networks(system + "/inner"))
	e.MustOK(e.Add(ctx, s))
	Expect(expect.Trace(e.CallsFor("ADD", s))).To(Equal([]string{"default as eth0", "every as net1", "more as net2", "inner as net3"}),
		"the pod's namespace counts, not the definition's")
}

// namespaceIsolation is NET-08.
func namespaceIsolation(ctx context.Context, e *thick.Env) {
	foreign, global, common := e.NewNamespace(), e.NewNamespace(), e.NewNamespace()
	e.Definition("alpha", e.FakeList("alpha"))
	for _, namespace := range []string{foreign, global, common} {
		e.DefinitionIn(namespace, "alpha", e.FakeList("alpha-"+namespace))
	}
	isolated := e.Start(ctx, thick.Isolated(global, common))
	ginkgo.By("its own namespace and the global ones")
	s := e.Sandbox(node.Networks("alpha," + e.Namespace + "/alpha," + global + "/alpha," + common + "/alpha"))
	e.MustOK(e.Add(ctx, s))
	Expect(expect.Trace(e.CallsFor("ADD", s))).To(Equal([]string{"default as eth0", "alpha as net1", "alpha as net2", "alpha-" + global + " as net3", "alpha-" + common + " as net4"}), "delegates that were called at ADD, in order")
	e.MustOK(e.Del(ctx, s))

	ways := []node.SandboxOption{
		node.Networks(foreign + "/alpha"), node.Networks("alpha," + foreign + "/alpha@data0"),
		node.Networks(`[{"name":"alpha","namespace":"` + foreign + `"}]`),
	}
	if e.Supports(thick.FeaturePodDefault) {
		ways = append(ways, node.Annotation(defaultNetworkAnnotation, foreign+"/alpha"))
	}
	for _, way := range ways {
		stranger := e.Sandbox(way)
		err := expect.Refused(e.Add(ctx, stranger))
		Expect(err.Error()).To(ContainSubstring(foreign), "the namespace that is out of reach")
		Expect(node.NetworksOf(e.CallsFor("ADD", stranger))).NotTo(ContainElement("alpha-"+foreign), "networks whose delegates were called at ADD")
		expect.NothingLeft(e, stranger)
	}
	isolated.Stop(ctx)

	ginkgo.By("without isolation")
	e.Start(ctx)
	free := e.Sandbox(node.Networks(foreign + "/alpha"))
	e.MustOK(e.Add(ctx, free))
	Expect(expect.Trace(e.CallsFor("ADD", free))).To(Equal([]string{"default as eth0", "alpha-" + foreign + " as net1"}), "delegates that were called at ADD, in order")
}
