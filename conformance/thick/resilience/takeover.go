// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// takenOver is RES-05: one sandbox is checked and deleted as the runtime asks,
// one is damaged, and one was lost with its namespace.
func takenOver(ctx context.Context, e *thick.Env) {
	asked, damaged, lost := e.Sandbox(), e.Sandbox(), e.Sandbox()
	for _, s := range []*node.Sandbox{asked, damaged, lost} {
		expect.PutMultusCache(e, s)
	}
	Expect(os.WriteFile(filepath.Join(e.CacheDir, damaged.ID), []byte(`[{"Name":"x","By`), 0o600)).To(Succeed())
	lost.RemoveNetns()
	e.Start(ctx)
	ginkgo.By("what was lost is released without being asked")
	Eventually(func() []string { return expect.MultusCacheOf(e, lost) }).WithContext(ctx).WithTimeout(10*time.Second).Should(BeEmpty(), "what Multus had cached")
	expectMultusDeleted(e, lost)
	ginkgo.By("what runs is left alone, checked, and deleted when the runtime asks")
	Expect(e.CallsFor("DEL", asked)).To(BeEmpty(), "calls of delegates at DEL")
	e.MustOK(e.Check(ctx, asked))
	Expect(node.NetworksOf(e.CallsFor("CHECK", asked))).To(Equal([]string{"default", "default", "single", "listed-net"}), "networks whose delegates were called at CHECK")
	e.MustOK(e.Del(ctx, asked))
	expectMultusDeleted(e, asked)
	Expect(expect.MultusCacheOf(e, asked)).To(BeEmpty(), "what is left of Multus' cache")
	ginkgo.By("a damaged file harms its own sandbox only, which is deleted by what libcni cached")
	e.MustOK(e.Del(ctx, damaged))
	Expect(node.NetworksOf(e.CallsFor("DEL", damaged))).To(ConsistOf("listed-net", "single", "default", "default"), "networks whose delegates were called at DEL")
	Expect(expect.MultusCacheOf(e, damaged)).To(BeEmpty(), "what is left of Multus' cache")
}

// expectMultusDeleted asserts that each delegate got what Multus gave it.
func expectMultusDeleted(e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	calls := e.CallsFor("DEL", s)
	Expect(node.NetworksOf(calls)).To(Equal([]string{"listed-net", "single", "default", "default"}), "networks whose delegates were called")
	var interfaces []string
	for _, c := range calls {
		interfaces = append(interfaces, c.Interface)
		conf := c.Config()
		Expect(conf).To(HaveKey("prevResult"), "DEL of %s", c.Network)
		Expect(c.Args).To(ContainSubstring("K8S_POD_NAME="+s.PodName), "CNI_ARGS of the call")
	}
	Expect(interfaces).To(Equal([]string{"net2", "data0", "eth0", "eth0"}), "interfaces of the DELs, in order")
	Expect(calls[0].Config()).To(HaveKeyWithValue("runtimeConfig", Equal(map[string]any{"mac": "02:11:22:33:44:55", "ips": []any{"10.9.8.7/24"}})), "the configuration that the delegate got")
	Expect(calls[0].Config()).To(HaveKeyWithValue("args", HaveKeyWithValue("cni", HaveKeyWithValue("who", "me"))), "the configuration that the delegate got")
	Expect(calls[1].Config()).To(HaveKeyWithValue("unknown", "x"), "the configuration that the delegate got")
	Expect(calls[2].Config()).To(HaveKeyWithValue("second", BeEquivalentTo(1)), "the configuration that the delegate got")
	Expect(calls[3].Config()).To(HaveKeyWithValue("runtimeConfig", HaveKey("portMappings")), "the configuration that the delegate got")
}
