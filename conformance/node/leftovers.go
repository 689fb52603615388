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

// Leftovers lists what is left of a sandbox, as far as a runtime and an operator
// can see it: interfaces in its namespace, addresses that are held for it, and,
// where the subject names a command that lists its records, those. What a
// subject's own files contain is not looked at: their format is its own.
func (n *Node) Leftovers(s *Sandbox) []string {
	ginkgo.GinkgoHelper()
	left := n.RecordsOf(s)
	for _, lease := range n.Leases(s) {
		left = append(left, "lease "+lease)
	}
	for _, name := range s.InterfaceNames() {
		left = append(left, "interface "+name+" of sandbox "+s.ID[:min(8, len(s.ID))])
	}
	return left
}

// RecordsOf lists what the subject's own command says that it has recorded of a
// sandbox; nothing without such a command.
func (n *Node) RecordsOf(s *Sandbox) []string {
	ginkgo.GinkgoHelper()
	if n.ListRecords == nil {
		return nil
	}
	lines, err := n.ListRecords()
	Expect(err).NotTo(HaveOccurred(), "the target's command that lists its records")
	var records []string
	for _, line := range lines {
		if id, ifName, _ := strings.Cut(strings.TrimSpace(line), " "); id == s.ID {
			records = append(records, "record of "+ifName+" of sandbox "+s.ID[:min(8, len(s.ID))])
		}
	}
	return records
}

// LeaseDir is where the host-local plugin keeps its leases, for networks of the
// suite.
func (n *Node) LeaseDir() string { return filepath.Join(n.Dir, "ipam") }

// Leases are the addresses that host-local holds for a sandbox, as
// "network/address".
func (n *Node) Leases(s *Sandbox) []string {
	ginkgo.GinkgoHelper()
	held := []string{}
	paths, err := filepath.Glob(filepath.Join(n.LeaseDir(), "*", "*"))
	Expect(err).NotTo(HaveOccurred())
	for _, path := range paths {
		if net.ParseIP(filepath.Base(path)) == nil {
			continue
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // it was released meanwhile
		}
		Expect(err).NotTo(HaveOccurred())
		if slices.Contains(strings.Fields(string(content)), s.ID) {
			held = append(held, filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path)))
		}
	}
	return held
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
