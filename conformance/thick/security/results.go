// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var resultsCases = []thick.Case{
	{
		ID: "SEC-08", Level: spec.Must, Source: "seen with static and host-local", Body: oddResults,
		Slow: 10 * time.Second, Timeout: 120 * time.Second,
		Title: "A delegate's odd result is an error with rollback, and ends neither the daemon nor its background work",
	},
}

// oddResult is a result that no plugin should answer, in a version.
type oddResult struct{ version, result string }

// oddAnswers are wrong in one place each.
var oddAnswers = map[string]oddResult{
	"null-route":          {"1.0.0", `{"ips":[{"address":"192.0.2.7/24"}],"routes":[null]}`},
	"null-route-now":      {"1.1.0", `{"ips":[{"address":"192.0.2.7/24"}],"routes":[null]}`},
	"null-route-second":   {"0.4.0", `{"ips":[{"version":"4","address":"192.0.2.7/24"}],"routes":[{"dst":"0.0.0.0/0"},null]}`},
	"null-route-old":      {"0.2.0", `{"ip4":{"ip":"192.0.2.7/24","routes":[null]}}`},
	"null-route-old-six":  {"0.2.0", `{"ip6":{"ip":"2001:db8::7/64","routes":[null]}}`},
	"null-ip":             {"1.0.0", `{"ips":[null]}`},
	"null-ip-now":         {"1.1.0", `{"ips":[null]}`},
	"null-ip-then":        {"0.3.1", `{"ips":[null]}`},
	"null-interface":      {"1.0.0", `{"interfaces":[null]}`},
	"null-interface-now":  {"1.1.0", `{"interfaces":[null]}`},
	"null-interface-then": {"0.4.0", `{"interfaces":[null]}`},
	"wrong-ips":           {"1.0.0", `{"ips":{"address":"192.0.2.7/24"}}`},
	"wrong-interfaces":    {"1.0.0", `{"interfaces":"eth0"}`},
	"wrong-route":         {"1.0.0", `{"routes":["0.0.0.0/0"]}`},
	"wrong-address":       {"1.0.0", `{"ips":[{"address":7}]}`},
	"wrong-dns":           {"1.0.0", `{"dns":[]}`},
	"outside-list":        {"1.0.0", `{"interfaces":[{"name":"net1","sandbox":"/x"}],"ips":[{"address":"192.0.2.7/24","interface":1}]}`},
	"outside-by-far":      {"1.1.0", `{"interfaces":[{"name":"net1","sandbox":"/x"}],"ips":[{"address":"192.0.2.7/24","interface":2147483647}]}`},
	"outside-below":       {"1.0.0", `{"interfaces":[{"name":"net1","sandbox":"/x"}],"ips":[{"address":"192.0.2.7/24","interface":-1}]}`},
}

// oddList is a network with a real interface and an odd result, of a list's
// first plugin or of its only one.
func oddList(e *thick.Env, name string, odd oddResult, more ...script.Fake) string {
	ginkgo.GinkgoHelper()
	fake := script.Fake{Add: script.FakeStep{Veth: true, Result: json.RawMessage(odd.result)}, Del: script.FakeStep{Veth: true}}
	list := e.FakeList(name, append([]script.Fake{fake}, more...)...)
	return strings.Replace(list, `"cniVersion":"1.0.0"`, `"cniVersion":"`+odd.version+`"`, 1)
}

// oddResults is SEC-08.
func oddResults(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	for name, odd := range oddAnswers {
		e.Definition(name, oddList(e, name, odd))
		e.Definition("chained-"+name, oddList(e, "chained-"+name, odd, script.Fake{}))
	}
	d := e.Start(ctx)
	healthy := e.Sandbox()
	e.MustOK(e.Add(ctx, healthy))
	var refused []*node.Sandbox
	for _, name := range slices.Sorted(maps.Keys(oddAnswers)) {
		for _, network := range []string{name, "chained-" + name} {
			s := e.Sandbox(node.Networks(network))
			expectOddRefused(ctx, e, d, s, network)
			refused = append(refused, s)
		}
	}
	if e.Supports(thick.FeatureHotplug) {
		oddHotplugs(ctx, e, d, healthy)
	}
	oddDefault(ctx, e, d)
	if e.Supports(thick.FeatureRestart) && e.Supports(thick.FeatureProcess) {
		d = oddPending(ctx, e, d, refused)
	}
	if e.Supports(thick.FeatureTakeover) {
		oddCached(ctx, e, d)
	}
	e.MustOK(e.Check(ctx, healthy))
	e.MustOK(e.Del(ctx, healthy))
}

// expectOddRefused asserts on an ADD whose network answers an odd result.
func expectOddRefused(ctx context.Context, e *thick.Env, d *thick.Daemon, s *node.Sandbox, network string) {
	ginkgo.GinkgoHelper()
	ginkgo.By(network)
	a, err := e.TryPost(ctx, "/cni", e.Request("ADD", s))
	expectLiving(d, "ADD of "+network)
	Expect(err).NotTo(HaveOccurred(), "ADD of %s", network)
	Expect(expect.CNIError(a).Error()).To(ContainSubstring(network), "the error names the network")
	Expect(slices.Compact(expect.Trace(e.CallsFor("DEL", s)))).To(Equal([]string{network + " as net1", "default as eth0"}), "the rollback")
	expect.NothingLeft(e, s)
}

func expectLiving(d *thick.Daemon, after string) {
	ginkgo.GinkgoHelper()
	Expect(d.Ended()).To(BeFalse(), "the daemon ended after %s; its log:\n%s", after, spec.LastLines(d.Log(), 30))
}

// oddHotplugs attaches odd networks to a running sandbox.
func oddHotplugs(ctx context.Context, e *thick.Env, d *thick.Daemon, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	ginkgo.By("hot-plug")
	for _, name := range []string{"null-route", "null-ip-now", "null-interface", "outside-list"} {
		Expect(expect.Refused(expect.Hotplug(ctx, e, s, "ADD", "hot0", oddList(e, name, oddAnswers[name]))).Error()).To(ContainSubstring(name), "the text of the error")
		expectLiving(d, "a hot-plug of "+name)
		Expect(s.InterfaceNames()).To(ConsistOf("eth0"), "interfaces after a hot-plug of %s", name)
		e.MustOK(e.Check(ctx, s))
	}
}

// oddDefault gives every pod an odd default network for a while.
func oddDefault(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the default network")
	for _, name := range []string{"null-route", "null-ip", "null-interface-now"} {
		e.DefaultNetwork(oddList(e, "default", oddAnswers[name]))
		s := e.Sandbox()
		_ = expect.Refused(e.Add(ctx, s))
		expectLiving(d, "ADD of a default network with "+name)
		expect.NothingLeft(e, s)
	}
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
}

// oddPending has the runtime delete, while there is no daemon, what could not be
// attached. The next daemon has both to replay and to delete it.
func oddPending(ctx context.Context, e *thick.Env, d *thick.Daemon, refused []*node.Sandbox) *thick.Daemon {
	ginkgo.GinkgoHelper()
	ginkgo.By("pending DELs of odd networks, and a restart")
	d.Stop(ctx)
	e.ResetCalls()
	for _, s := range refused[:8] {
		expect.Succeeded(e.Shim(ctx, "DEL", s))
	}
	d = e.Start(ctx)
	for _, s := range []*node.Sandbox{refused[0], refused[7]} {
		e.AwaitCalls(ctx, 1, func(c script.Call) bool { return c.Command == "DEL" && c.ContainerID == s.ID && !c.End.IsZero() })
		Eventually(e.RecordsOf).WithArguments(s).WithContext(ctx).WithTimeout(10*time.Second).WithPolling(node.PollInterval).
			Should(BeEmpty(), "the pending DELs are carried out")
	}
	expectLiving(d, "the pending DELs")
	return d
}

// oddCached deletes sandboxes of a Multus that cached odd results: one as the
// runtime asks, one that is lost when the daemon starts.
func oddCached(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	ginkgo.By("odd results in the cache of a Multus that ran before")
	d.Stop(ctx)
	asked, lost := e.Sandbox(), e.Sandbox()
	for _, s := range []*node.Sandbox{asked, lost} {
		expect.PutMultusCache(e, s)
		spoilCachedResults(e, s)
	}
	lost.RemoveNetns()
	d = e.Start(ctx)
	e.MustOK(e.Del(ctx, asked))
	e.MustOK(e.Del(ctx, lost))
	for _, s := range []*node.Sandbox{asked, lost} {
		Expect(node.NetworksOf(e.CallsFor("DEL", s))).To(Equal([]string{"listed-net", "single", "default", "default"}), "networks whose delegates were called at DEL")
		Expect(expect.MultusCacheOf(e, s)).To(BeEmpty(), "what is left of Multus' cache")
	}
	expectLiving(d, "DEL of what Multus had cached")
}

// spoilCachedResults puts nulls into the results that libcni cached.
func spoilCachedResults(e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(e.CacheDir, "results", "*"+s.ID+"*"))
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty(), "results that libcni cached")
	for _, file := range files {
		data, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		var cached map[string]any
		Expect(json.Unmarshal(data, &cached)).To(Succeed(), "JSON is expected here: %s", data)
		result, ok := cached["result"].(map[string]any)
		Expect(ok).To(BeTrue(), "the result in %s", file)
		result["interfaces"], result["ips"], result["routes"] = []any{nil}, []any{nil}, []any{nil}
		Expect(os.WriteFile(file, node.MustJSON(cached), 0o600)).To(Succeed())
	}
}
