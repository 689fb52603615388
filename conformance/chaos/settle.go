// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// settleLimit is how long a daemon may take to carry out what it owes.
const settleLimit = 30 * time.Second

// settle lets the daemon carry out what it owes, ends it, and looks for what is
// left.
func (c *chaos) settle() *Left {
	_ = node.Await(c.owed, settleLimit)
	for _, p := range c.promised {
		if left := c.remains(p.box); len(left) > 0 {
			c.violatedBy(p, "%s after a DEL that was answered with success there still are %v", settleLimit, left)
		}
	}
	if c.gc {
		// Nothing disturbs it now, and the runtime knows of no sandbox.
		c.collect()
	}
	d := c.now()
	c.expectEnd(d)
	d.Stop(c.ctx)
	left := &Left{Damaged: []string{}, Pending: filesIn(c.e.PendingDir)}
	_ = node.Await(c.interfaces, thick.TeardownTimeout/2)
	left.Interfaces = c.interfaces()
	var err error
	left.Leases, err = c.leases("")
	Expect(err).NotTo(HaveOccurred())
	if c.e.ListRecords != nil {
		left.Records, err = c.e.ListRecords()
		Expect(err).NotTo(HaveOccurred(), "the target's command that lists its records")
	}
	if t, ok := c.e.Target.(thick.LeavingTarget); ok {
		left.Damaged = c.matching(t.SetAside(c.e.Paths()))
	}
	left.Undeleted = c.undeleted()
	return left
}

// owed is what a daemon still has to carry out of DELs that were answered
// while it was away.
func (c *chaos) owed() []string {
	owed := filesIn(c.e.PendingDir)
	for _, p := range c.promised {
		owed = append(owed, c.remains(p.box)...)
	}
	return owed
}

// interfaces lists those that delegates have left, in sandboxes and on the host.
func (c *chaos) interfaces() []string {
	left := []string{}
	for _, p := range c.promised {
		for _, name := range p.box.InterfaceNames() {
			left = append(left, fmt.Sprintf("%s of sandbox %.12s", name, p.box.ID))
		}
	}
	host, err := net.Interfaces()
	Expect(err).NotTo(HaveOccurred())
	for _, i := range host {
		if strings.HasPrefix(i.Name, "veth") || strings.HasPrefix(i.Name, "fk") {
			left = append(left, i.Name+" of the host")
		}
	}
	return left
}

// filesIn lists the files of a directory, which may be missing. Hidden ones are
// not requests.
func filesIn(dir string) []string {
	entries, err := os.ReadDir(dir)
	if !os.IsNotExist(err) {
		Expect(err).NotTo(HaveOccurred())
	}
	names := []string{}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			names = append(names, entry.Name())
		}
	}
	return names
}

// matching lists the files that match patterns, and those in directories that
// do, by their path below the run's directory.
func (c *chaos) matching(patterns []string) []string {
	found := []string{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		Expect(err).NotTo(HaveOccurred())
		for _, path := range paths {
			Expect(filepath.WalkDir(path, func(path string, entry os.DirEntry, err error) error {
				if err == nil && !entry.IsDir() {
					below, _ := filepath.Rel(c.e.Dir, path)
					found = append(found, below)
				}
				return err
			})).To(Succeed())
		}
	}
	return found
}

// undeleted lists the attachments of scripted delegates that had an ADD and no
// DEL after it.
func (c *chaos) undeleted() []string {
	attached := map[string]bool{}
	for _, call := range c.e.Calls() {
		key := fmt.Sprintf("%s as %s of sandbox %.12s", call.Network, call.Interface, call.ContainerID)
		switch call.Command {
		case "ADD":
			attached[key] = true
		case "DEL":
			delete(attached, key)
		}
	}
	left := []string{}
	for key := range attached {
		left = append(left, key)
	}
	slices.Sort(left)
	return left
}
