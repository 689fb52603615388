// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// delConfigurationOfAdd is DEL-04. What the sandboxes were attached with goes
// away piece by piece, and one of them is deleted after each.
func delConfigurationOfAdd(ctx context.Context, e *thick.Env) {
	expect.DemandingNetworks(e)
	d := e.Start(ctx)
	changes := []struct {
		what string
		do   func(s *node.Sandbox)
	}{
		{"nothing changed", func(*node.Sandbox) {}},
		{"the pod selects other networks", func(s *node.Sandbox) {
			e.WritePod(s, map[string]string{"k8s.v1.cni.cncf.io/networks": "green@x1"})
		}},
		{"the pod's annotations are malformed", func(s *node.Sandbox) {
			e.WritePod(s, map[string]string{"k8s.v1.cni.cncf.io/networks": "[{]"})
		}},
		{"another pod has the name", func(s *node.Sandbox) {
			successor := *s
			successor.PodUID = "00000000-0000-0000-0000-000000000001"
			e.WritePod(&successor, nil)
		}},
		{"the definitions changed", func(*node.Sandbox) { expect.ReplaceNetworks(e) }},
		{"the pod is gone", func(s *node.Sandbox) { e.DeletePod(s) }},
		{"the definitions are gone", func(*node.Sandbox) { e.DeleteDefinition("blue"); e.DeleteDefinition("green") }},
		{"the daemon restarted", func(*node.Sandbox) { expect.Restarted(ctx, e, d) }},
	}
	var sandboxes []*node.Sandbox
	for range changes {
		sandboxes = append(sandboxes, expect.AddDemanding(ctx, e))
	}
	for i, change := range changes {
		ginkgo.By(change.what)
		change.do(sandboxes[i])
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, expect.WithHostPort(e, "DEL", sandboxes[i])))
		expect.Deleted(e, sandboxes[i])
	}
}

// delPrevResult is DEL-05.
func delPrevResult(ctx context.Context, e *thick.Env) {
	blue, green := expect.ChainedResults(e)
	d := e.Start(ctx)
	first, second := e.Sandbox(node.Networks("blue,green")), e.Sandbox(node.Networks("blue,green"))
	for _, s := range []*node.Sandbox{first, second} {
		answer := e.Add(ctx, s)
		result := e.MustOK(answer).Result()
		Expect(result.DNS.Domain).To(Equal("example.org"), "the result of ADD is the scripted one")
		if s == second {
			d = expect.Restarted(ctx, e, d)
		}
		e.MustOK(e.Del(ctx, s))
		expect.Deleted(e, s)
		deleted := e.CallsFor("DEL", s)
		Expect(expect.PlacesOf(deleted)).To(Equal([]string{"green net2", "blue net1 plugin 2", "blue net1 plugin 1", "blue net1 plugin 0",
			"default eth0 plugin 1", "default eth0 plugin 0"}), "delegates that were called at DEL, in order")
		expect.PrevResultOf(green, deleted[:1])
		expect.PrevResultOf(blue, deleted[1:4])
		expect.PrevResultOf(result, deleted[4:])
	}
	if e.Supports(thick.FeatureKill) {
		killedWithResults(ctx, e, d, blue)
	}
}

// killedWithResults kills the daemon while the last of a sandbox's networks is
// being attached: what the others have answered is not lost by that.
func killedWithResults(ctx context.Context, e *thick.Env, d *thick.Daemon, blue map[string]any) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a daemon that is killed during ADD")
	gate := filepath.Join(e.Dir, "gate-"+node.RandomHex(3))
	e.Definition("slow", e.FakeList("slow", script.Fake{Add: script.FakeStep{WaitFor: gate}}))
	s := e.Sandbox(node.Networks("blue,slow"))
	flying := e.Async(ctx, e.Request("ADD", s))
	e.AwaitCalls(ctx, 1, expect.CallOf(s, "ADD", "slow"))
	d.Kill()
	Eventually(flying).WithContext(ctx).Should(Receive(), "an answer to the request")
	e.Start(ctx)
	e.MustOK(e.Del(ctx, s))
	e.Touch(gate)
	deleted := slices.DeleteFunc(e.CallsFor("DEL", s), func(c script.Call) bool { return c.Network == "slow" })
	Expect(expect.PlacesOf(deleted)).To(Equal([]string{"blue net1 plugin 2", "blue net1 plugin 1", "blue net1 plugin 0",
		"default eth0 plugin 1", "default eth0 plugin 0"}), "delegates that were called at DEL, in order")
	expect.PrevResultOf(blue, deleted[:3])
	expect.PrevResultOf(expect.FullResult("eth0", "02:00:00:00:01:02", "203.0.113.12/24"), deleted[3:])
}

// delWithoutCluster is DEL-09, while the daemon runs, and for one that was
// started when the cluster was away already.
func delWithoutCluster(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.Numbered(expect.RealInterface(), script.Fake{})...))
	e.Definition("green", e.FakeList("green", expect.RealInterface()))
	d := e.Start(ctx)
	first, second := e.Sandbox(node.Networks("blue,green@data0")), e.Sandbox(node.Networks("blue,green@data0"))
	e.MustOK(e.Add(ctx, first))
	e.MustOK(e.Add(ctx, second))
	e.ClusterAway()

	delInTime(ctx, e, first)
	expect.Deleted(e, first)
	delInTime(ctx, e, first)

	ginkgo.By("a daemon that has never seen the cluster")
	if e.Supports(thick.FeatureRestart) {
		d.Stop(ctx)
		e.Start(ctx, thick.WithoutWaiting())
		Eventually(func() error { return e.Probe(ctx, e.RunDir, "/healthz") }).WithContext(ctx).
			WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).Should(Succeed(), "the daemon serves: /healthz")
	}
	delInTime(ctx, e, second)
	expect.Deleted(e, second)
	delInTime(ctx, e, &node.Sandbox{
		ID: node.RandomHex(32), IfName: "eth0", PodNamespace: second.PodNamespace, PodName: "never-seen", PodUID: second.PodUID, Node: e.Node,
	})
}

// delInTime asserts that a DEL succeeds while the cluster is away, and that it comes
// before a runtime would give up.
func delInTime(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	expect.InTime(ctx, e, e.Request("DEL", s), 20*time.Second, "a DEL while the cluster is away")
}
