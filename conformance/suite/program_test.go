// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestReplacedProgram(t *testing.T) {
	g := NewWithT(t)
	g.Expect(thisProgram().info).NotTo(BeNil())
	g.Expect(thisProgram().replaced()).To(Succeed())

	path := filepath.Join(t.TempDir(), "suite")
	g.Expect(os.WriteFile(path, nil, 0o600)).To(Succeed())
	info, err := os.Stat(path)
	g.Expect(err).NotTo(HaveOccurred())
	p := program{path: path, info: info}
	g.Expect(p.replaced()).To(Succeed())
	g.Expect(os.WriteFile(path+".new", nil, 0o600)).To(Succeed())
	g.Expect(os.Rename(path+".new", path)).To(Succeed())
	g.Expect(p.replaced()).To(MatchError(ContainSubstring(path + " was replaced")))
	g.Expect(os.Remove(path)).To(Succeed())
	g.Expect(p.replaced()).To(MatchError(ContainSubstring("judge with a copy")))
}
