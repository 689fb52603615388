// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// SpoilRecords damages every file of the cache directory that names a
// sandbox, and returns what they contain now.
func SpoilRecords(e *thick.Env, s *node.Sandbox, spoil func([]byte) []byte) []string {
	ginkgo.GinkgoHelper()
	var contents []string
	for _, path := range e.FilesNaming(s.ID) {
		if !strings.HasPrefix(path, e.CacheDir+string(filepath.Separator)) {
			continue
		}
		content, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		content = spoil(content)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		contents = append(contents, string(content))
	}
	Expect(contents).NotTo(BeEmpty(), "records of the sandbox below the cache directory")
	return contents
}
