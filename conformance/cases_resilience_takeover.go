// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// multusCache is what Multus 4.3 wrote for a sandbox with three networks.
//
//go:embed samples/multus-4.3
var multusCache embed.FS

// What stands in the samples for things of the case.
const (
	sampleID    = "SAMPLECONTAINERID"
	sampleNetns = "/run/netns/sample"
	sampleCalls = "/tmp/msample/calls"
	samplePod   = "testpod"
)

// putMultusCache puts the samples where Multus would have left them for a
// sandbox.
func putMultusCache(e *Env, s *Sandbox) {
	ginkgo.GinkgoHelper()
	const root = "samples/multus-4.3"
	Expect(fs.WalkDir(multusCache, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := multusCache.ReadFile(name)
		if err != nil {
			return err
		}
		var content any
		if err := json.Unmarshal(data, &content); err != nil {
			return err
		}
		to := filepath.Join(e.CacheDir, strings.ReplaceAll(strings.TrimPrefix(name, root+"/"), sampleID, s.ID))
		if err := os.MkdirAll(path.Dir(to), 0o700); err != nil {
			return err
		}
		return os.WriteFile(to, mustJSON(adapted(e, s, content)), 0o600)
	})).To(Succeed())
}

// adapted replaces what stands for things of the case, also within the
// configurations, which are base64.
func adapted(e *Env, s *Sandbox, v any) any {
	replace := strings.NewReplacer(sampleID, s.ID, sampleNetns, s.Netns, sampleCalls, e.CallsDir, samplePod, s.PodName)
	switch v := v.(type) {
	case string:
		if decoded, err := base64.StdEncoding.DecodeString(v); err == nil && len(decoded) > 0 && decoded[0] == '{' {
			return base64.StdEncoding.EncodeToString([]byte(replace.Replace(string(decoded))))
		}
		return replace.Replace(v)
	case []any:
		for i := range v {
			v[i] = adapted(e, s, v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = adapted(e, s, v[k])
		}
	}
	return v
}

// takenOver is RES-05: one sandbox is checked and deleted as the runtime asks,
// one is damaged, and one was lost with its namespace.
func takenOver(ctx context.Context, e *Env) {
	asked, damaged, lost := e.Sandbox(), e.Sandbox(), e.Sandbox()
	for _, s := range []*Sandbox{asked, damaged, lost} {
		putMultusCache(e, s)
	}
	Expect(os.WriteFile(filepath.Join(e.CacheDir, damaged.ID), []byte(`[{"Name":"x","By`), 0o600)).To(Succeed())
	lost.RemoveNetns()
	e.Start(ctx)
	ginkgo.By("what was lost is released without being asked")
	Eventually(func() []string { return e.FilesNaming(lost.ID) }).WithContext(ctx).WithTimeout(10 * time.Second).Should(BeEmpty())
	expectMultusDeleted(e, lost)
	ginkgo.By("what runs is left alone, checked, and deleted when the runtime asks")
	Expect(e.CallsFor("DEL", asked)).To(BeEmpty())
	e.MustOK(e.Check(ctx, asked))
	Expect(networksOf(e.CallsFor("CHECK", asked))).To(Equal([]string{"default", "default", "single", "listed-net"}))
	e.MustOK(e.Del(ctx, asked))
	expectMultusDeleted(e, asked)
	Expect(e.FilesNaming(asked.ID)).To(BeEmpty(), "what is left of Multus' cache")
	ginkgo.By("a damaged file harms its own sandbox only, which is deleted by what libcni cached")
	e.MustOK(e.Del(ctx, damaged))
	Expect(networksOf(e.CallsFor("DEL", damaged))).To(ConsistOf("listed-net", "single", "default", "default"))
	Expect(e.FilesNaming(damaged.ID)).To(BeEmpty(), "what is left of Multus' cache")
}

// expectMultusDeleted asserts that each delegate got what Multus gave it.
func expectMultusDeleted(e *Env, s *Sandbox) {
	ginkgo.GinkgoHelper()
	calls := e.CallsFor("DEL", s)
	Expect(networksOf(calls)).To(Equal([]string{"listed-net", "single", "default", "default"}))
	var interfaces []string
	for _, c := range calls {
		interfaces = append(interfaces, c.Interface)
		conf := c.Config()
		Expect(conf).To(HaveKey("prevResult"), "DEL of %s", c.Network)
		Expect(c.Args).To(ContainSubstring("K8S_POD_NAME=" + s.PodName))
	}
	Expect(interfaces).To(Equal([]string{"net2", "data0", "eth0", "eth0"}))
	Expect(calls[0].Config()).To(HaveKeyWithValue("runtimeConfig", Equal(map[string]any{"mac": "02:11:22:33:44:55", "ips": []any{"10.9.8.7/24"}})))
	Expect(calls[0].Config()).To(HaveKeyWithValue("args", HaveKeyWithValue("cni", HaveKeyWithValue("who", "me"))))
	Expect(calls[1].Config()).To(HaveKeyWithValue("unknown", "x"))
	Expect(calls[2].Config()).To(HaveKeyWithValue("second", BeEquivalentTo(1)))
	Expect(calls[3].Config()).To(HaveKeyWithValue("runtimeConfig", HaveKey("portMappings")))
}
