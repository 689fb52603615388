// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// unknownFields are keys that no daemon knows. Each is of a kind that a
// careless decoding and encoding loses or changes.
func unknownFields() map[string]any {
	return map[string]any{
		"x-object":   map[string]any{"deep": map[string]any{"er": []any{1.0, "two", map[string]any{"three": nil}}}},
		"x-array":    []any{"a", []any{}, map[string]any{}, nil, true, -0.25},
		"x-unicode":  "Zürich, 北京, 🌲, \u2028, \t\"quoted\"\\",
		"x-markup":   "<a href='?x=1&y=2'>",
		"x-largest":  int64(1) << 53,
		"x-smallest": -(int64(1)<<53 - 1),
		"x-float":    1.5e-7,
		"x-null":     nil,
		"x-false":    false,
		"x-zero":     0,
		"x-empty":    "",
		// Keys that a daemon may know, with things inside that it does not.
		"ipam": map[string]any{"type": "fake", "ranges": []any{[]any{map[string]any{"subnet": "10.1.0.0/16", "x-note": "n"}}}},
		"args": map[string]any{"x-vendor": map[string]any{"tier": "gold"}},
		"dns":  map[string]any{"nameservers": []any{"192.0.2.53"}, "x-note": "n"},
	}
}

// addConfigurationIntact is ADD-03, for the four ways in which a network's
// configuration reaches a daemon.
func addConfigurationIntact(ctx context.Context, e *thick.Env) {
	fake := func(capabilities ...string) script.Fake {
		f := script.Fake{Extra: unknownFields(), Capabilities: map[string]bool{}}
		for _, c := range capabilities {
			f.Capabilities[c] = true
		}
		return f
	}
	off := fake("ips")
	off.Capabilities["mac"] = false
	e.DefaultNetwork(e.FakeList("default", fake("portMappings", "mac")))
	e.Definition("listed", expect.Versioned(e.FakeList("listed-net", fake("mac"), off, fake()), "0.4.0"))
	e.Definition("single", expect.SinglePlugin(expect.Versioned(e.FakeList("single-net", fake("mac", "ips")), "0.3.1"), "single-net"))
	e.Definition("nameless", expect.SinglePlugin(e.FakeList("ignored", fake()), ""))
	e.Start(ctx)
	s := e.Sandbox(node.Networks(`[{"name":"listed","mac":"02:11:22:33:44:55","ips":["10.9.8.7/24"]},{"name":"single"},{"name":"nameless"}]`))
	e.MustOK(e.Post(ctx, "/cni", withRuntimeConfig(e, s)))

	calls := e.CallsFor("ADD", s)
	Expect(expect.Trace(calls)).To(Equal([]string{"default as eth0", "listed-net as net1", "listed-net as net1", "listed-net as net1",
		"single-net as net2", "nameless as net3"}), "delegates that were called, in order")
	mac := map[string]any{"mac": "02:11:22:33:44:55"}
	ips := map[string]any{"ips": []any{"10.9.8.7/24"}}
	ports := map[string]any{"portMappings": []any{map[string]any{"hostPort": 8080.0, "containerPort": 80.0, "protocol": "tcp"}}}
	for i, want := range []struct {
		version       string
		runtimeConfig map[string]any
	}{{"1.0.0", ports}, {"0.4.0", mac}, {"0.4.0", ips}, {"0.4.0", nil}, {"0.3.1", nil}, {"1.0.0", nil}} {
		ginkgo.By(calls[i].Network)
		expectIntact(calls[i], want.version, want.runtimeConfig)
		expectVariables(e, s, calls[i])
	}
}

// expectIntact looks at what a delegate got on stdin.
func expectIntact(c script.Call, version string, runtimeConfig map[string]any) {
	ginkgo.GinkgoHelper()
	var got map[string]any
	Expect(json.Unmarshal(c.Stdin, &got)).To(Succeed(), "JSON is expected here: %s", c.Stdin)
	var want map[string]any
	Expect(json.Unmarshal(node.MustJSON(unknownFields()), &want)).To(Succeed())
	for key, value := range want {
		Expect(got).To(HaveKey(key), "the configuration that the delegate got")
		if value == nil {
			Expect(got[key]).To(BeNil(), "field %s", key)
			continue
		}
		Expect(got[key]).To(Equal(value), "field %s", key)
	}
	// An integer written as 9.007199254740992e+15 is the same number, but no
	// plugin that declares an integer can read it.
	var integers struct {
		Largest  int64 `json:"x-largest"`
		Smallest int64 `json:"x-smallest"`
	}
	Expect(json.Unmarshal(c.Stdin, &integers)).To(Succeed(), "integers are written as integers")
	Expect(integers.Largest).To(Equal(int64(1)<<53), "the largest number as it arrived")
	Expect(got).To(HaveKeyWithValue("name", c.Network), "the configuration that the delegate got")
	Expect(got).To(HaveKeyWithValue("cniVersion", version), "the configuration that the delegate got")
	Expect(got).To(HaveKeyWithValue("type", "fake"), "the configuration that the delegate got")
	if len(runtimeConfig) == 0 {
		Expect(got["runtimeConfig"]).To(Or(BeNil(), BeEmpty()), "runtimeConfig of a plugin that declares nothing which was asked for")
		return
	}
	Expect(got).To(HaveKeyWithValue("runtimeConfig", Equal(runtimeConfig)), "the configuration that the delegate got")
}

// expectVariables looks at a delegate's CNI_* variables.
func expectVariables(e *thick.Env, s *node.Sandbox, c script.Call) {
	ginkgo.GinkgoHelper()
	Expect(filepath.SplitList(c.Path)).To(ContainElement(e.BinDir), "CNI_PATH")
	Expect(strings.Split(c.Args, ";")).To(ContainElements("K8S_POD_NAMESPACE="+s.PodNamespace, "K8S_POD_NAME="+s.PodName,
		"K8S_POD_INFRA_CONTAINER_ID="+s.ID, "K8S_POD_UID="+s.PodUID), "CNI_ARGS")
	Expect(c.Netns).To(Equal(s.Netns), "CNI_NETNS")
}

// withRuntimeConfig is an ADD for which the runtime passes runtimeConfig, as
// it does for host ports, and more than any delegate declares.
func withRuntimeConfig(e *thick.Env, s *node.Sandbox) *api.Request {
	ginkgo.GinkgoHelper()
	r := e.Request("ADD", s)
	var config map[string]any
	Expect(json.Unmarshal(r.Config, &config)).To(Succeed(), "JSON is expected here: %s", r.Config)
	config["runtimeConfig"] = map[string]any{
		"portMappings": []any{map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}},
		"bandwidth":    map[string]any{"ingressRate": 1000},
	}
	r.Config = node.MustJSON(config)
	return r
}

// addPrevResult is ADD-04, in the default network and in a further one, whose
// first plugin must not see the default network's result.
func addPrevResult(ctx context.Context, e *thick.Env) {
	s := e.Sandbox(node.Networks("chained"))
	chain := func(network, ifName string, addresses ...string) string {
		var plugins []script.Fake
		for i, a := range addresses {
			plugins = append(plugins, script.Fake{Extra: map[string]any{"x-position": i}, Add: script.FakeStep{Result: scriptedResult(s, ifName, a)}})
		}
		return e.FakeList(network, plugins...)
	}
	first := []string{"192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"}
	second := []string{"198.51.100.1/24", "198.51.100.2/24", "198.51.100.3/24"}
	e.DefaultNetwork(chain("default", "eth0", first...))
	e.Definition("chained", chain("chained", "net1", second...))
	e.Start(ctx)
	answer := e.Add(ctx, s)
	e.MustOK(answer)
	Expect(node.MustJSON(answer.Result().IPs)).To(MatchJSON(`[{"interface":0,"address":"192.0.2.3/24"}]`), "the last plugin's result is the network's")

	calls := e.CallsFor("ADD", s)
	Expect(expect.Trace(calls)).To(Equal([]string{"default as eth0", "default as eth0", "default as eth0",
		"chained as net1", "chained as net1", "chained as net1"}), "delegates that were called, in order")
	expectPrevResults(calls[:3], scriptedResult(s, "eth0", first[0]), scriptedResult(s, "eth0", first[1]))
	expectPrevResults(calls[3:], scriptedResult(s, "net1", second[0]), scriptedResult(s, "net1", second[1]))
}

// expectPrevResults asserts on a list's three calls: their places in the list,
// and what each got of the one before.
func expectPrevResults(calls []script.Call, results ...map[string]any) {
	ginkgo.GinkgoHelper()
	for i, c := range calls {
		var got struct {
			Position   int            `json:"x-position"`
			PrevResult map[string]any `json:"prevResult"`
		}
		Expect(json.Unmarshal(c.Stdin, &got)).To(Succeed(), "JSON is expected here: %s", c.Stdin)
		Expect(got.Position).To(Equal(i), "plugin of %s in the list", c.Network)
		if i == 0 {
			Expect(got.PrevResult).To(BeEmpty(), "the first plugin of %s has none before it", c.Network)
			continue
		}
		Expect(got.PrevResult).To(HaveKeyWithValue("cniVersion", "1.0.0"), "the list's version")
		for _, part := range []string{"interfaces", "ips"} {
			Expect(node.MustJSON(got.PrevResult[part])).To(MatchJSON(node.MustJSON(results[i-1][part])), "%s in prevResult of plugin %d of %s", part, i, c.Network)
		}
	}
}
