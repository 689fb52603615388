// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// selectionForms is NET-01. OTHER stands for the name of another namespace,
// OWN for the pod's.
func selectionForms(ctx context.Context, e *thick.Env) {
	other := e.NewNamespace()
	e.Definition("alpha", e.FakeList("alpha"))
	e.Definition("beta", e.FakeList("beta"))
	e.DefinitionIn(other, "alpha", e.FakeList("others-alpha"))
	e.DefinitionIn(other, "gamma", e.FakeList("gamma"))
	e.Start(ctx)
	names := strings.NewReplacer("OTHER", other, "OWN", e.Namespace)
	for _, form := range []struct {
		annotation string
		want       []string
	}{
		{"", nil},
		{"[]", nil},
		{"alpha", []string{"alpha as net1"}},
		{"OTHER/alpha", []string{"others-alpha as net1"}},
		{"OWN/alpha", []string{"alpha as net1"}},
		{"alpha@data0", []string{"alpha as data0"}},
		{"OTHER/gamma@data-0", []string{"gamma as data-0"}},
		{"alpha,beta", []string{"alpha as net1", "beta as net2"}},
		{"beta, OTHER/alpha@up1 ,alpha", []string{"beta as net1", "others-alpha as up1", "alpha as net3"}},
		{"alpha,alpha", []string{"alpha as net1", "alpha as net2"}},
		{`[{"name":"alpha"}]`, []string{"alpha as net1"}},
		{`[{"name":"alpha","namespace":"OTHER"}]`, []string{"others-alpha as net1"}},
		{`[{"name":"alpha","interface":"data0"}]`, []string{"alpha as data0"}},
		{"[\n {\"name\":\"beta\"},\n {\"name\":\"alpha\",\"namespace\":\"OTHER\",\"interface\":\"up1\"},\n {\"name\":\"alpha\"},\n {\"name\":\"alpha\"}\n]",
			[]string{"beta as net1", "others-alpha as up1", "alpha as net3", "alpha as net4"}},
	} {
		ginkgo.By("networks: " + form.annotation)
		s := e.Sandbox(node.Networks(names.Replace(form.annotation)))
		e.MustOK(e.Add(ctx, s))
		Expect(expect.Trace(e.CallsFor("ADD", s))).To(Equal(append([]string{"default as eth0"}, form.want...)), "ADD with networks: %s", form.annotation)
		e.MustOK(e.Del(ctx, s))
	}
	ginkgo.By("no annotation at all")
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	Expect(expect.Trace(e.CallsFor("ADD", s))).To(Equal([]string{"default as eth0"}), "delegates that were called at ADD, in order")
}

// everyRequest is a selection that asks for all there is.
const everyRequest = `{
	"name": "asked", "ips": ["10.9.8.7/24", "2001:db8:9::7/64"], "mac": "02:11:22:33:44:55", "infiniband-guid": "c2:11:22:33:44:55:66:77",
	"bandwidth": {"ingressRate": 2048, "ingressBurst": 1600, "egressRate": 4096, "egressBurst": 1600},
	"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 8053, "containerPort": 53, "protocol": "udp"}],
	"deviceID": "0000:3b:02.1", "cni-args": {"tier": "gold", "nested": {"list": [1, "two", null]}, "large": 9007199254740991}
}`

// everyRuntimeConfig is what becomes of it, by capability.
func everyRuntimeConfig() map[string]any {
	port := func(host, container float64, protocol string) map[string]any {
		return map[string]any{"hostPort": host, "containerPort": container, "protocol": protocol}
	}
	return map[string]any{
		"ips": []any{"10.9.8.7/24", "2001:db8:9::7/64"}, "mac": "02:11:22:33:44:55", "infinibandGUID": "c2:11:22:33:44:55:66:77",
		"bandwidth":    map[string]any{"ingressRate": 2048.0, "ingressBurst": 1600.0, "egressRate": 4096.0, "egressBurst": 1600.0},
		"portMappings": []any{port(8080, 80, "tcp"), port(8053, 53, "udp")},
		"deviceID":     "0000:3b:02.1",
	}
}

// selectionRequests is NET-02: each value reaches the plugins that declare its
// capability, at ADD and DEL, and no plugin of another network.
func selectionRequests(ctx context.Context, e *thick.Env) {
	all := map[string]bool{}
	for capability := range everyRuntimeConfig() {
		all[capability] = true
	}
	own := map[string]any{"args": map[string]any{"cni": map[string]any{"tier": "bronze", "own": true}, "vendor": "kept"}}
	e.DefaultNetwork(e.FakeList("default", script.Fake{Capabilities: all}))
	e.Definition("asked", e.FakeList("asked", script.Fake{Capabilities: all, Extra: own}, script.Fake{Capabilities: map[string]bool{"mac": true, "ips": false}}, script.Fake{}))
	e.Definition("other", e.FakeList("other", script.Fake{Capabilities: all}))
	e.Start(ctx)
	s := e.Sandbox(node.Networks(`[` + everyRequest + `,{"name":"other"}]`))
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Del(ctx, s))
	for _, command := range []string{"ADD"} { // that DEL gets the same is DEL-04's
		ginkgo.By(command)
		var asked []script.Call
		for _, c := range e.CallsFor(command, s) {
			if c.Network == "asked" {
				asked = append(asked, c)
				continue
			}
			Expect(c.Config()["runtimeConfig"]).To(Or(BeNil(), BeEmpty()), "runtimeConfig of network %s at %s: nothing was asked of it", c.Network, command)
			Expect(c.Config()).NotTo(HaveKey("args"), "network %s at %s: nothing was asked of it", c.Network, command)
		}
		Expect(asked).To(HaveLen(3), "the plugins of network asked at %s", command)
		if command == "DEL" {
			asked[0], asked[2] = asked[2], asked[0]
		}
		expectAsked(command, asked)
	}
}

// expectAsked looks at what the three plugins of the list got, in its order.
func expectAsked(command string, calls []script.Call) {
	ginkgo.GinkgoHelper()
	first := calls[0].Config()
	Expect(first["runtimeConfig"]).To(Equal(everyRuntimeConfig()), "runtimeConfig of the plugin that declares all, at %s", command)
	Expect(calls[1].Config()["runtimeConfig"]).To(Equal(map[string]any{"mac": "02:11:22:33:44:55"}), "runtimeConfig of the one that declares mac, at %s", command)
	Expect(calls[2].Config()["runtimeConfig"]).To(Or(BeNil(), BeEmpty()), "runtimeConfig of the one that declares nothing, at %s", command)
	for i, c := range calls {
		args, _ := c.Config()["args"].(map[string]any)
		Expect(args).To(HaveKeyWithValue("cni", And(
			HaveKeyWithValue("tier", "gold"),
			HaveKeyWithValue("nested", map[string]any{"list": []any{1.0, "two", nil}}),
			HaveKeyWithValue("large", 9007199254740991.0),
		)), "args of plugin %d at %s", i, command)
	}
	Expect(first["args"]).To(HaveKeyWithValue("vendor", "kept"), "the definition's own args")
	Expect(first["args"]).To(HaveKeyWithValue("cni", HaveKeyWithValue("own", true)), "the definition's own args.cni")
}
