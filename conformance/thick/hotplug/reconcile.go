// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var reconcileCases = []thick.Case{
	{
		ID: "HOT-09", Level: spec.Should, Source: "#585, #459, #512, multus-dynamic-networks-controller#63, #66",
		Needs: []spec.Feature{thick.FeatureReconcile, thick.FeatureRestart}, Body: annotationFollowed, Slow: 90 * time.Second, Timeout: 600 * time.Second,
		Title: "A network that is added to, or removed from, the annotation of a running pod is attached or detached; others keep interface and name; a changed element is refused; a daemon that was away catches up",
	},
}

const (
	// followed is how long a change of an annotation may take to be carried out,
	// also after a failure.
	followed = 30 * time.Second
	// unchanged is how long it is watched that nothing happens.
	unchanged = 1500 * time.Millisecond
	networks  = "k8s.v1.cni.cncf.io/networks"
)

// edited is a pod whose annotation is edited while its sandbox runs.
type edited struct {
	e *thick.Env
	s *node.Sandbox
}

// annotationFollowed is HOT-09.
func annotationFollowed(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	for _, name := range []string{"blue", "green", "red"} {
		e.Definition(name, e.FakeList(name, expect.RealInterface()))
	}
	d := e.Start(ctx, thick.Reconciling())
	p, other := &edited{e, e.Sandbox(node.Networks("blue"))}, e.Sandbox(node.Networks("green"))
	e.MustOK(e.Add(ctx, p.s))
	e.MustOK(e.Add(ctx, other))
	untouched := other.Interfaces()
	p.comesAndGoes(ctx)
	p.changes(ctx)
	p.malformed(ctx)
	p.fails(ctx)
	p.stuck(ctx)
	p.requested(ctx)

	ginkgo.By("the daemon is away meanwhile")
	d.Stop(ctx)
	before := p.s.Interfaces()
	p.edit("blue,green@hot0,red@hot1")
	d = e.Start(ctx, thick.Reconciling())
	p.has(ctx, "eth0", "blue", "green as hot0", "red as hot1", "requested as hot9")
	p.kept(before, "hot0", "hot9")

	ginkgo.By("the pod is gone before its sandbox")
	before = p.s.Interfaces()
	e.DeletePod(p.s)
	Consistently(p.s.Interfaces).WithContext(ctx).WithTimeout(unchanged).Should(ConsistOf(before), "interfaces of a sandbox whose pod is gone")
	Expect(other.Interfaces()).To(Equal(untouched), "the interfaces of another pod")
	e.MustOK(e.Del(ctx, p.s))
	Expect(e.Leftovers(p.s)).To(BeEmpty(), "after the sandbox's DEL")
	if e.Supports(thick.FeatureKill) && e.Settings.PluginDir != "" {
		d.Stop(ctx)
		editedAtRandom(ctx, e)
	}
}

// comesAndGoes adds networks and takes them out, before and behind others.
func (p *edited) comesAndGoes(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a network is added")
	before := p.s.Interfaces()
	p.edit("blue,green@hot0")
	p.has(ctx, "eth0", "blue as net1", "green as hot0")
	p.kept(before, "eth0", "net1")
	ginkgo.By("another one is removed")
	before = p.s.Interfaces()
	p.edit("green@hot0")
	p.has(ctx, "eth0", "green as hot0")
	p.kept(before, "eth0", "hot0")
	ginkgo.By("two are added before it")
	p.edit("red,blue@hot1,green@hot0")
	p.has(ctx, "eth0", "red", "blue as hot1", "green as hot0")
	p.kept(before, "eth0", "hot0")
	ginkgo.By("a name goes from one network to another, which keeps none")
	p.edit("red@hot1,blue,green@hot0")
	p.has(ctx, "eth0", "red as hot1", "blue", "green as hot0")
	p.kept(before, "eth0", "hot0")
	ginkgo.By("and back")
	p.edit("red,blue@hot1,green@hot0")
	p.has(ctx, "eth0", "red", "blue as hot1", "green as hot0")
	p.kept(before, "eth0", "hot0")
}

// changes asks something else of what is attached, and one more network, which
// shows that the change was seen.
func (p *edited) changes(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By("an element changes that is attached")
	before := p.s.Interfaces()
	p.edit(`[{"name":"red"},{"name":"green","interface":"hot0","cni-args":{"vlan":"7"}},{"name":"blue","interface":"hot2"}]`)
	p.has(ctx, "eth0", "red", "green as hot0", "blue as hot2")
	p.kept(before, "eth0", "hot0")
	for _, c := range p.e.CallsFor("DEL", p.s) {
		Expect(c.Interface).NotTo(Equal("hot0"), "the interface of a delegate that was called at DEL")
	}
	if p.e.Supports(thick.FeatureKubernetes) {
		Eventually(func() []string { return p.warnings() }).WithContext(ctx).WithTimeout(followed).
			Should(ContainElement(ContainSubstring("green")), "warnings about the element that changed")
	}
	p.edit("green@hot0")
	p.has(ctx, "eth0", "green as hot0")
}

// malformed has an annotation that cannot be read, and a cluster that cannot be
// seen: neither detaches anything.
func (p *edited) malformed(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the annotation is malformed")
	before := p.s.Interfaces()
	p.edit("red,green@hot0@hot1")
	Consistently(p.s.Interfaces).WithContext(ctx).WithTimeout(unchanged).Should(ConsistOf(before), "interfaces when the annotation is malformed")
	ginkgo.By("pods cannot be seen")
	p.e.ClusterAway()
	Consistently(p.s.Interfaces).WithContext(ctx).WithTimeout(unchanged).Should(ConsistOf(before), "interfaces when pods cannot be seen")
	p.e.ClusterBack()
	p.edit("red,green@hot0")
	p.has(ctx, "eth0", "red", "green as hot0")
	p.kept(before, "eth0", "hot0")
}

// fails has a network that is not defined yet before one that is.
func (p *edited) fails(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a network that does not exist yet")
	before := p.s.Interfaces()
	p.edit("late@hot3,blue@hot4,green@hot0")
	p.has(ctx, "eth0", "blue as hot4", "green as hot0")
	p.e.Definition("late", p.e.FakeList("late", expect.RealInterface()))
	p.has(ctx, "eth0", "late as hot3", "blue as hot4", "green as hot0")
	p.kept(before, "eth0", "hot0")
}

// stuck has a network whose plugin fails at ADD, and at the DEL that follows:
// whatever is tried again, one element is never asked for under two names.
func (p *edited) stuck(ctx context.Context) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a network that can be neither attached nor deleted at first")
	fails := expect.RealInterface()
	fails.Add.Error, fails.Add.Times = types.NewError(171, "no device is free", ""), 1
	fails.Del.Error, fails.Del.Times = types.NewError(172, "the device is busy", ""), 2
	p.e.Definition("stuck", p.e.FakeList("stuck", fails))
	before := p.s.Interfaces()
	p.edit("late@hot3,blue@hot4,stuck,green@hot0")
	names := func() []string {
		var all []string
		for _, c := range p.e.CallsFor("ADD", p.s) {
			if c.Network == "stuck" && !slices.Contains(all, c.Interface) {
				all = append(all, c.Interface)
			}
		}
		return all
	}
	shown := func() bool {
		return slices.ContainsFunc(expect.StatusNames(p.e, p.s), func(name string) bool { return strings.HasPrefix(name, p.e.Namespace+"/stuck ") })
	}
	Eventually(func() bool { return len(names()) > 1 || shown() }).WithContext(ctx).WithTimeout(followed).WithPolling(100*time.Millisecond).
		Should(BeTrue(), "the network is attached when its plugin works")
	Expect(names()).To(HaveLen(1), "names under which a plugin was asked for one element's interface, which it could not delete in between")
	p.has(ctx, "eth0", "late as hot3", "blue as hot4", "stuck", "green as hot0")
	p.kept(before, "eth0", "hot0", "hot3", "hot4")
}

// requested attaches a network by a request, where there are such, which is not
// the annotation's to detach.
func (p *edited) requested(ctx context.Context) {
	ginkgo.GinkgoHelper()
	list := p.e.FakeList("requested", expect.RealInterface())
	if p.e.Supports(thick.FeatureHotplug) {
		ginkgo.By("a request attaches a network, and the annotation changes")
		p.e.MustOK(expect.Hotplug(ctx, p.e, p.s, "ADD", "hot9", list))
	}
	before := p.s.Interfaces()
	p.edit("green@hot0")
	p.has(ctx, "eth0", "green as hot0", "requested as hot9")
	p.kept(before, "eth0", "hot0", "hot9")
}

func (p *edited) edit(annotation string) {
	ginkgo.GinkgoHelper()
	p.e.Step("the annotation becomes %s", annotation)("")
	p.e.WritePod(p.s, map[string]string{networks: annotation})
}

// has awaits that sandbox and status have these networks, each "NAME as
// INTERFACE", or NAME where any interface will do. What a request attaches is
// left out where there are no such requests.
func (p *edited) has(ctx context.Context, first string, rest ...string) {
	ginkgo.GinkgoHelper()
	if !p.e.Supports(thick.FeatureHotplug) {
		rest = slices.DeleteFunc(rest, func(name string) bool { return name == "requested as hot9" })
	}
	elements := []any{Equal("default as " + first)}
	for _, name := range rest {
		if name != "requested as hot9" {
			name = p.e.Namespace + "/" + name
		}
		elements = append(elements, HavePrefix(name))
	}
	Eventually(func() []string { return expect.StatusNames(p.e, p.s) }).WithContext(ctx).WithTimeout(followed).WithPolling(100*time.Millisecond).
		Should(ConsistOf(elements...), "elements of network-status after the annotation changed")
	var shown []any
	for _, element := range p.e.Status(p.s) {
		shown = append(shown, element["interface"])
	}
	Eventually(p.s.InterfaceNames).WithContext(ctx).WithTimeout(followed).Should(ConsistOf(shown...), "interfaces in the sandbox, as network-status shows them")
	p.e.MustOK(p.e.Check(ctx, p.s))
}

// kept asserts that interfaces are the same ones that they were.
func (p *edited) kept(before []node.Interface, names ...string) {
	ginkgo.GinkgoHelper()
	now := p.s.Interfaces()
	for _, i := range before {
		if slices.Contains(names, i.Name) {
			Expect(now).To(ContainElement(i), "interface %s, which the annotation asks for all the time", i.Name)
		}
	}
}

// warnings are what the pod's events warn of.
func (p *edited) warnings() []string {
	ginkgo.GinkgoHelper()
	var all []string
	for _, event := range p.e.Events(p.s) {
		if event.Type == corev1.EventTypeWarning {
			all = append(all, event.Message)
		}
	}
	return all
}
