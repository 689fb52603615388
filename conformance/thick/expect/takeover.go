// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
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

// PutMultusCache puts the samples where Multus would have left them for a
// sandbox.
func PutMultusCache(e *thick.Env, s *node.Sandbox) {
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
		return os.WriteFile(to, node.MustJSON(adapted(e, s, content)), 0o600)
	})).To(Succeed())
}

// MultusCacheOf lists the files of a sandbox in Multus' cache: its record, and
// what libcni cached. Their names are Multus' and libcni's.
func MultusCacheOf(e *thick.Env, s *node.Sandbox) []string {
	ginkgo.GinkgoHelper()
	var left []string
	for _, pattern := range []string{s.ID, "results/*-" + s.ID + "-*"} {
		found, err := filepath.Glob(filepath.Join(e.CacheDir, pattern))
		Expect(err).NotTo(HaveOccurred())
		left = append(left, found...)
	}
	return left
}

// adapted replaces what stands for things of the case, also within the
// configurations, which are base64.
func adapted(e *thick.Env, s *node.Sandbox, v any) any {
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
