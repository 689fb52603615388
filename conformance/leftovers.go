// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Leftovers lists what is left of a sandbox: files that name it below the
// cache directory, leases of its, and interfaces in its namespace. What was set
// aside as damaged does not count.
func (e *Env) Leftovers(s *Sandbox) []string {
	ginkgo.GinkgoHelper()
	var left []string
	for _, path := range e.FilesNaming(s.ID) {
		left = append(left, "file "+path)
	}
	for _, name := range s.InterfaceNames() {
		left = append(left, "interface "+name+" of sandbox "+s.ID[:min(8, len(s.ID))])
	}
	return left
}

// FilesNaming lists the regular files below the case's directory, other than
// the suite's own, whose name or content has the container id.
func (e *Env) FilesNaming(id string) []string {
	ginkgo.GinkgoHelper()
	var found []string
	own := []string{e.CallsDir, e.ClusterDir, e.BinDir, filepath.Join(e.Dir, "daemon.log"), filepath.Join(e.Dir, "netns")}
	err := filepath.WalkDir(e.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		for _, o := range own {
			if path == o {
				if entry.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
		}
		if entry.IsDir() && entry.Name() == "damaged" {
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".damaged-") || strings.HasSuffix(entry.Name(), ".log") {
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

// hostLeftovers lists the host ends that fake delegates left in the case's own
// network namespace.
func (e *Env) hostLeftovers() []string {
	ginkgo.GinkgoHelper()
	if !isolated() {
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
