// SPDX-License-Identifier: Apache-2.0

package node

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// Leftovers lists what is left of a sandbox: files that name it below the
// cache directory, its leases, and interfaces in its namespace. What the subject
// says that it keeps aside does not count.
func (n *Node) Leftovers(s *Sandbox) []string {
	ginkgo.GinkgoHelper()
	var left []string
	for _, path := range n.FilesNaming(s.ID) {
		left = append(left, "file "+path)
	}
	for _, name := range s.InterfaceNames() {
		left = append(left, "interface "+name+" of sandbox "+s.ID[:min(8, len(s.ID))])
	}
	return left
}

// FilesNaming lists the regular files below the case's directory, other than
// the suite's own, whose name or content has the container id.
func (n *Node) FilesNaming(id string) []string {
	ginkgo.GinkgoHelper()
	var found []string
	own := append([]string{n.CallsDir, n.BinDir, filepath.Join(n.Dir, "daemon.log"), filepath.Join(n.Dir, "netns")}, n.Own...)
	err := filepath.WalkDir(n.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		if slices.Contains(own, path) || n.setAside(path) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || strings.HasSuffix(entry.Name(), ".log") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if strings.Contains(entry.Name(), id) || strings.Contains(string(content), id) {
			found = append(found, path)
		}
		return nil
	})
	Expect(err).NotTo(HaveOccurred())
	return found
}

// setAside reports whether the subject may leave a path, by its own word.
func (n *Node) setAside(path string) bool {
	return slices.ContainsFunc(n.SetAside, func(pattern string) bool {
		matched, err := filepath.Match(pattern, path)
		Expect(err).NotTo(HaveOccurred(), "what the target keeps aside: %s", pattern)
		return matched
	})
}

// HostLeftovers lists the host ends that fake delegates left in the case's own
// network namespace.
func (n *Node) HostLeftovers() []string {
	ginkgo.GinkgoHelper()
	if !suite.Isolated() {
		return nil
	}
	interfaces, err := net.Interfaces()
	Expect(err).NotTo(HaveOccurred())
	var left []string
	for _, i := range interfaces {
		if strings.HasPrefix(i.Name, "fk") || strings.HasPrefix(i.Name, "veth") {
			left = append(left, "interface "+i.Name+" of the host")
		}
	}
	return left
}
