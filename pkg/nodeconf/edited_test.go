// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// chain puts a plugin behind the shim, as a service mesh's installer does.
func chain(n *node) string {
	n.t.Helper()
	fields, err := n.generated()
	n.Expect(err).NotTo(HaveOccurred())
	delete(fields, "name")
	delete(fields, "cniVersion")
	data, err := json.Marshal(map[string]any{"name": "mesh", "cniVersion": "0.3.1", "plugins": []any{fields, map[string]any{"type": "mesh-cni"}}})
	n.Expect(err).NotTo(HaveOccurred())
	n.put(chainedName, string(data))
	n.Expect(os.Remove(n.path(FileName))).To(Succeed())
	return string(data)
}

// TestAnotherProgramsChain is RES-12: the chain stays, and follows the default
// network.
func TestAnotherProgramsChain(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conf", single("a", ""))
	m := n.start(n.options())
	n.Eventually(n.generated, "10s").ShouldNot(BeNil())
	chained := chain(n)
	read := func() string {
		data, _ := os.ReadFile(n.path(chainedName))
		return string(data)
	}
	n.Consistently(read, "1500ms").Should(Equal(chained), "nothing of it has to change")
	n.Expect(n.path(FileName)).NotTo(BeAnExistingFile())

	n.put("10-a.conf", `{"cniVersion":"1.0.0","name":"a","type":"x","capabilities":{"ips":true}}`)
	n.Eventually(read, "10s").Should(ContainSubstring(`"ips": true`))
	var list struct {
		Name    string
		Plugins []map[string]any
	}
	n.Expect(json.Unmarshal([]byte(read()), &list)).To(Succeed())
	n.Expect(list.Name).To(Equal("mesh"))
	n.Expect(list.Plugins).To(HaveLen(2))
	n.Expect(list.Plugins[1]).To(HaveKeyWithValue("type", "mesh-cni"))
	n.Expect(m.Waiting()).To(BeEmpty())

	n.Expect(os.Remove(n.path(chainedName))).To(Succeed())
	n.Eventually(n.generated, "10s").ShouldNot(BeNil(), "a file that was removed is written again")
	n.put(FileName, `{"name":"x","type":"other"}`)
	n.Eventually(n.generated, "10s").Should(HaveKeyWithValue("type", "thicket-shim"), "the shim does not come first")
	n.Expect(n.stop()).To(Succeed())
}

// TestCleanupOnExit is Multus' habit, for those who ask for it.
func TestCleanupOnExit(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conf", single("a", ""))
	o := n.options()
	o.CleanupOnExit = true
	n.start(o)
	n.Eventually(n.generated, "10s").ShouldNot(BeNil())
	n.Expect(n.stop()).To(Succeed())
	n.Expect(n.generated()).To(BeNil())
}

func TestUninstall(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conf", single("a", ""))
	n.start(n.options())
	n.Eventually(n.generated, "10s").ShouldNot(BeNil())
	_, err := Uninstall(t.Context(), n.dir, "thicket-shim")
	n.Expect(err).To(MatchError(ContainSubstring("a daemon still runs")))
	n.Eventually(n.generated, "10s").ShouldNot(BeNil())
	n.Expect(n.stop()).To(Succeed())

	n.put("70-mine.conf", `{"name":"m","type":"thicket-shim"}`)
	_, err = Uninstall(t.Context(), n.dir, "thicket-shim")
	n.Expect(err).To(MatchError(ContainSubstring("70-mine.conf")))
	n.Expect(n.generated()).NotTo(BeNil(), "nothing is removed")
	n.Expect(os.Remove(n.path("70-mine.conf"))).To(Succeed())

	chained := strings.Replace(chain(n), "thicket-shim", "multus-shim", 1)
	n.put(FileName, single("somebody else's", ""))
	removed, err := Uninstall(t.Context(), n.dir, "thicket-shim")
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(removed).To(ConsistOf(n.path(chainedName)))
	n.put(chainedName, chained)
	removed, err = Uninstall(t.Context(), n.dir, "thicket-shim")
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(removed).To(BeEmpty(), "files of these names that are another shim's")
	n.Expect(n.path("10-a.conf")).To(BeARegularFile())
}
