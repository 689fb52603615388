// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// delConfigurationOfAdd is DEL-04. What the sandboxes were attached with goes
// away piece by piece, and one of them is deleted after each.
func delConfigurationOfAdd(ctx context.Context, e *Env) {
	demandingNetworks(e)
	d := e.Start(ctx)
	changes := []struct {
		what string
		do   func(s *Sandbox)
	}{
		{"nothing changed", func(*Sandbox) {}},
		{"the pod selects other networks", func(s *Sandbox) {
			e.WritePod(s, map[string]string{"k8s.v1.cni.cncf.io/networks": "green@x1"})
		}},
		{"the pod's annotations are malformed", func(s *Sandbox) {
			e.WritePod(s, map[string]string{"k8s.v1.cni.cncf.io/networks": "[{]"})
		}},
		{"another pod has the name", func(s *Sandbox) {
			successor := *s
			successor.PodUID = "00000000-0000-0000-0000-000000000001"
			e.WritePod(&successor, nil)
		}},
		{"the definitions changed", func(*Sandbox) { replaceNetworks(e) }},
		{"the pod is gone", func(s *Sandbox) { e.DeletePod(s) }},
		{"the definitions are gone", func(*Sandbox) { e.DeleteDefinition("blue"); e.DeleteDefinition("green") }},
		{"the daemon restarted", func(*Sandbox) { restarted(ctx, e, d) }},
	}
	var sandboxes []*Sandbox
	for range changes {
		sandboxes = append(sandboxes, addDemanding(ctx, e))
	}
	for i, change := range changes {
		ginkgo.By(change.what)
		change.do(sandboxes[i])
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, withHostPort(e, "DEL", sandboxes[i])))
		expectDeleted(e, sandboxes[i])
	}
}

// demandingNetworks are three networks whose delegates get all kinds of
// parameters: unknown fields, capabilities, and a list of several plugins.
func demandingNetworks(e *Env) {
	ginkgo.GinkgoHelper()
	odd := map[string]any{"x-vendor": map[string]any{"list": []any{1.5, "two", nil, false}, "text": "<&>"}}
	e.DefaultNetwork(e.FakeList("default", Fake{Extra: odd, Capabilities: map[string]bool{"portMappings": true}}))
	e.Definition("blue", e.FakeList("blue", numbered(
		Fake{Extra: odd, Capabilities: map[string]bool{"mac": true, "ips": true}, Add: FakeStep{Veth: true}, Del: FakeStep{Veth: true}},
		Fake{Capabilities: map[string]bool{"mac": true}}, Fake{Extra: odd})...))
	e.Definition("green", e.FakeList("green", realInterface()))
}

// replaceNetworks makes every network another one, whose DEL fails: a daemon
// that looks at them now does the wrong thing, and is told so.
func replaceNetworks(e *Env) {
	ginkgo.GinkgoHelper()
	wrong := Fake{Extra: map[string]any{"x-changed": true}, Del: FakeStep{Error: types.NewError(998, "DEL with another configuration than ADD's", "")}}
	e.DefaultNetwork(e.FakeList("default", wrong))
	e.Definition("blue", e.FakeList("other-blue", wrong))
	e.Definition("green", e.FakeList("green", wrong))
}

// addDemanding attaches a sandbox to the demanding networks.
func addDemanding(ctx context.Context, e *Env) *Sandbox {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(Networks(`[{"name":"blue","interface":"data0","mac":"02:00:00:00:0a:01","ips":["10.9.8.7/24"],` +
		`"cni-args":{"tier":"gold"}},{"name":"green"}]`))
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, withHostPort(e, "ADD", s)))
	added := e.CallsFor("ADD", s)
	Expect(placesOf(added)).To(Equal([]string{"default eth0", "blue data0 plugin 0", "blue data0 plugin 1", "blue data0 plugin 2", "green net2"}))
	for _, c := range added[:3] {
		Expect(c.Config()).To(HaveKey("runtimeConfig"), "the ADD of %s has parameters to repeat", placeOf(c))
	}
	return s
}

// withHostPort is a request for which the runtime passes a host port.
func withHostPort(e *Env, command string, s *Sandbox) *api.Request {
	ginkgo.GinkgoHelper()
	r := e.Request(command, s)
	var config map[string]any
	Expect(json.Unmarshal(r.Config, &config)).To(Succeed())
	config["runtimeConfig"] = map[string]any{
		"portMappings": []any{map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}},
	}
	r.Config = mustJSON(config)
	return r
}

// delPrevResult is DEL-05.
func delPrevResult(ctx context.Context, e *Env) {
	blue, green := chainedResults(e)
	d := e.Start(ctx)
	first, second := e.Sandbox(Networks("blue,green")), e.Sandbox(Networks("blue,green"))
	for _, s := range []*Sandbox{first, second} {
		answer := e.Add(ctx, s)
		result := e.MustOK(answer).Result()
		Expect(result.DNS.Domain).To(Equal("example.org"), "the result of ADD is the scripted one")
		if s == second {
			d = restarted(ctx, e, d)
		}
		e.MustOK(e.Del(ctx, s))
		expectDeleted(e, s)
		deleted := e.CallsFor("DEL", s)
		Expect(placesOf(deleted)).To(Equal([]string{"green net2", "blue net1 plugin 2", "blue net1 plugin 1", "blue net1 plugin 0",
			"default eth0 plugin 1", "default eth0 plugin 0"}))
		expectPrevResultOf(green, deleted[:1])
		expectPrevResultOf(blue, deleted[1:4])
		expectPrevResultOf(result, deleted[4:])
	}
	if e.Supports(FeatureKill) {
		killedWithResults(ctx, e, d, blue)
	}
}

// killedWithResults kills the daemon while the last of a sandbox's networks is
// being attached: what the others have answered is not lost by that.
func killedWithResults(ctx context.Context, e *Env, d *Daemon, blue map[string]any) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a daemon that is killed during ADD")
	gate := filepath.Join(e.Dir, "gate-"+randomHex(3))
	e.Definition("slow", e.FakeList("slow", Fake{Add: FakeStep{WaitFor: gate}}))
	s := e.Sandbox(Networks("blue,slow"))
	flying := e.Async(ctx, e.Request("ADD", s))
	e.AwaitCalls(ctx, 1, callOf(s, "ADD", "slow"))
	d.Kill()
	Eventually(flying).WithContext(ctx).Should(Receive())
	e.Start(ctx)
	e.MustOK(e.Del(ctx, s))
	e.Touch(gate)
	deleted := slices.DeleteFunc(e.CallsFor("DEL", s), func(c Call) bool { return c.Network == "slow" })
	Expect(placesOf(deleted)).To(Equal([]string{"blue net1 plugin 2", "blue net1 plugin 1", "blue net1 plugin 0",
		"default eth0 plugin 1", "default eth0 plugin 0"}))
	expectPrevResultOf(blue, deleted[:3])
	expectPrevResultOf(fullResult("eth0", "02:00:00:00:01:02", "203.0.113.12/24"), deleted[3:])
}

// chainedResults makes the default network and "blue" lists of plugins that
// each have a result of their own, of which the last is the network's, and
// "green" a single one. It returns blue's and green's results.
func chainedResults(e *Env) (blue, green map[string]any) {
	ginkgo.GinkgoHelper()
	answering := func(result map[string]any) Fake { return Fake{Add: FakeStep{Result: result}} }
	e.DefaultNetwork(e.FakeList("default", numbered(
		answering(fullResult("eth0", "02:00:00:00:01:01", "203.0.113.11/24")),
		answering(fullResult("eth0", "02:00:00:00:01:02", "203.0.113.12/24")))...))
	blue = fullResult("net1", "02:00:00:00:02:03", "203.0.113.23/24")
	e.Definition("blue", e.FakeList("blue", numbered(
		answering(fullResult("net1", "02:00:00:00:02:01", "203.0.113.21/24")),
		answering(fullResult("net1", "02:00:00:00:02:02", "203.0.113.22/24")),
		answering(blue))...))
	green = fullResult("net2", "02:00:00:00:03:01", "203.0.113.31/24")
	e.Definition("green", e.FakeList("green", answering(green)))
	return blue, green
}

// delWithoutCluster is DEL-09, while the daemon runs, and for one that was
// started when the cluster was away already.
func delWithoutCluster(ctx context.Context, e *Env) {
	e.DefaultNetwork(e.FakeList("default", realInterface()))
	e.Definition("blue", e.FakeList("blue", numbered(realInterface(), Fake{})...))
	e.Definition("green", e.FakeList("green", realInterface()))
	d := e.Start(ctx)
	first, second := e.Sandbox(Networks("blue,green@data0")), e.Sandbox(Networks("blue,green@data0"))
	e.MustOK(e.Add(ctx, first))
	e.MustOK(e.Add(ctx, second))
	e.ClusterAway()

	e.MustOK(e.Del(ctx, first))
	expectDeleted(e, first)
	e.MustOK(e.Del(ctx, first))

	ginkgo.By("a daemon that has never seen the cluster")
	if e.Supports(FeatureRestart) {
		d.Stop(ctx)
		e.Start(ctx, WithoutWaiting())
		Eventually(func() error { return e.probe(ctx, e.RunDir, "/healthz") }).WithContext(ctx).
			WithTimeout(startTimeout).WithPolling(pollInterval).Should(Succeed())
	}
	e.MustOK(e.Del(ctx, second))
	expectDeleted(e, second)
	e.MustOK(e.Del(ctx, &Sandbox{
		ID: randomHex(32), IfName: "eth0", PodNamespace: second.PodNamespace, PodName: "never-seen", PodUID: second.PodUID, env: e,
	}))
}
