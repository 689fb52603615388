// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"os"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// HostNamespace is the inode of the runtime's own network namespace, which is the
// case's.
func (e *Env) HostNamespace() uint64 {
	ginkgo.GinkgoHelper()
	return inode("/proc/self/ns/net")
}

func inode(path string) uint64 {
	ginkgo.GinkgoHelper()
	var st unix.Stat_t
	Expect(unix.Stat(path, &st)).To(Succeed(), "the namespace at %s", path)
	return st.Ino
}

// LoseNamespace removes the network namespace of a container that was added, as a
// node that lost it, and returns its path.
func (e *Env) LoseNamespace(a *Attachment) (path string) {
	ginkgo.GinkgoHelper()
	if e.Driver.Takes().Netns {
		a.RemoveNetns()
		return a.Netns
	}
	calls := e.CallsOf("ADD", a)
	Expect(calls).NotTo(BeEmpty(), "executions of plugins with ADD, which name the namespace")
	path = calls[0].Netns
	Expect(unix.Unmount(path, unix.MNT_DETACH)).To(Succeed(), "the namespace that the runtime made at %s", path)
	Expect(os.Remove(path)).To(Succeed())
	return path
}

// Usurp has the namespace of a container that was added go, and that of another
// container take its path. It returns the inode of the other one.
func (e *Env) Usurp(a *Attachment) (other uint64) {
	ginkgo.GinkgoHelper()
	// While both exist their numbers differ.
	by := e.NewSandbox("default")
	path := e.LoseNamespace(a)
	Expect(os.WriteFile(path, nil, 0o600)).To(Succeed())
	Expect(unix.Mount(by.Netns, path, "", unix.MS_BIND, "")).To(Succeed(), "another namespace at %s", path)
	e.AtEnd(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return inode(by.Netns)
}
