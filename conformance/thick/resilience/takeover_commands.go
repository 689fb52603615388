// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

var takeoverCases = []thick.Case{
	{ID: "RES-11", Level: spec.Must, Source: "kubevirt/kubevirt#14074, #13721 of that repository",
		Needs: []spec.Feature{thick.FeatureTakeover, thick.FeatureHotplug}, Slow: 5 * time.Second, Body: takenOverForEveryCommand,
		Title: "Taking over from Multus holds for CHECK, GC, /delegate ADD and DEL, and DEL, for what it attached and what it hot-plugged"},
}

// multusPlugged is the interface of what Multus hot-plugged, on the network hot.
const multusPlugged = "mhot0"

// takenOverForEveryCommand is RES-11. What Multus hot-plugged is in libcni's
// cache alone.
func takenOverForEveryCommand(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	s := e.Sandbox()
	expect.PutMultusCache(e, s)
	hot := expect.Versioned(e.FakeList("hot", expect.RealInterface()), "1.1.0")
	putPluggedByMultus(e, s, hot)
	d := e.Start(ctx)
	attached := []string{"default eth0", "default eth0", "single data0", "listed-net net2", "hot " + multusPlugged}

	ginkgo.By("CHECK")
	e.MustOK(e.Check(ctx, s))
	Expect(expect.PlacesOf(e.CallsFor("CHECK", s))).To(Equal(attached), "delegates that were called at CHECK, in order")
	if e.Supports(thick.FeatureGC) {
		ginkgo.By("GC")
		expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.GcRequest(e, s)), "GC")
		for _, c := range e.CallsOf("GC") {
			if c.Network == "hot" {
				Expect(c.Config()[expect.ValidKey]).To(ConsistOf(expect.AttachmentOf(s, multusPlugged)), "the valid attachments of what was hot-plugged")
			}
		}
		Expect(e.CallsFor("DEL", s)).To(BeEmpty(), "DELs of a sandbox that is valid")
	}

	ginkgo.By("hot-plug of one more network")
	more := e.FakeList("more", expect.RealInterface())
	e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", more)))
	Expect(s.InterfaceNames()).To(ConsistOf("hot0"), "the fakes of the sample make no interfaces")
	if e.Supports(thick.FeatureRestart) {
		d.Stop(ctx)
		e.Start(ctx)
	}
	e.ResetCalls()
	e.MustOK(e.Check(ctx, s))
	Expect(expect.PlacesOf(e.CallsFor("CHECK", s))).To(Equal(append(attached, "more hot0")), "CHECK after a hot-plug")

	ginkgo.By("unplugging what Multus plugged")
	unplug := expect.HotplugRequest(e, s, "DEL", hot)
	unplug.Env["CNI_IFNAME"] = multusPlugged
	e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, unplug))
	expectDeletedAsCached(e, s, 0, "hot "+multusPlugged)

	ginkgo.By("DEL")
	e.MustOK(e.Del(ctx, s))
	Expect(expect.PlacesOf(e.CallsFor("DEL", s))[1:]).To(Equal([]string{"more hot0", "listed-net net2", "single data0", "default eth0", "default eth0"}), "delegates that were called at DEL, in order")
	Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")

	ginkgo.By("DEL of a sandbox with something that Multus hot-plugged")
	whole := e.Sandbox()
	expect.PutMultusCache(e, whole)
	putPluggedByMultus(e, whole, hot)
	e.MustOK(e.Del(ctx, whole))
	expectDeletedAsCached(e, whole, 0, "hot "+multusPlugged)
	Expect(e.CallsFor("DEL", whole)).To(HaveLen(5), "calls of delegates at DEL")
	Expect(expect.MultusCacheOf(e, whole)).To(BeEmpty(), "what is left of Multus' cache")
}

// putPluggedByMultus puts what libcni caches for an attachment into Multus'
// cache, where Multus' /delegate ADD has it.
func putPluggedByMultus(e *thick.Env, s *node.Sandbox, config string) {
	ginkgo.GinkgoHelper()
	entry, err := json.Marshal(map[string]any{
		"kind": "cniCacheV1", "containerId": s.ID, "config": []byte(config), "ifName": multusPlugged, "networkName": "hot", "netns": s.Netns,
		"cniArgs": [][2]string{{"IgnoreUnknown", "true"}, {"K8S_POD_NAMESPACE", s.PodNamespace}, {"K8S_POD_NAME", s.PodName}, {"K8S_POD_UID", s.PodUID}},
		"result": map[string]any{
			"cniVersion": "1.1.0", "interfaces": []any{map[string]any{"name": multusPlugged, "mac": "02:00:00:00:11:11", "sandbox": s.Netns}},
			"ips": []any{map[string]any{"address": "10.1.2.3/24", "interface": 0}},
		},
	})
	Expect(err).NotTo(HaveOccurred())
	path := filepath.Join(e.CacheDir, "results", "hot-"+s.ID+"-"+multusPlugged)
	Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
	Expect(os.WriteFile(path, entry, 0o600)).To(Succeed())
}

// expectDeletedAsCached asserts that a DEL got the result that was cached.
func expectDeletedAsCached(e *thick.Env, s *node.Sandbox, index int, place string) {
	ginkgo.GinkgoHelper()
	calls := e.CallsFor("DEL", s)
	Expect(len(calls)).To(BeNumerically(">", index), "DELs of delegates")
	Expect(expect.PlaceOf(calls[index])).To(Equal(place), "the delegate that was called")
	Expect(calls[index].Config()).To(HaveKeyWithValue("prevResult", HaveKey("ips")), "the result of ADD at DEL of %s", place)
}
