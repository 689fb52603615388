// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// bootIDPath is where the kernel publishes the id of this boot.
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// Reboot has every daemon that starts from now on see another boot: another
// boot id, mounted over the kernel's in the case's own mount namespace, and
// no network namespace of a sandbox, except those at whose path another one
// with the same number stands: both begin anew with the kernel. The daemon must
// have ended before.
func (n *Node) Reboot(except ...*Sandbox) {
	ginkgo.GinkgoHelper()
	if !suite.Isolated() {
		n.Skipf("a reboot is simulated by a mount over %s, and this process has no mount namespace of its own", bootIDPath)
	}
	id := n.File("boot_id", RandomHex(4)+"-"+RandomHex(2)+"-4"+RandomHex(1)+"0-8"+RandomHex(1)+"0-"+RandomHex(6)+"\n")
	Expect(unix.Mount(id, bootIDPath, "", unix.MS_BIND, "")).To(Succeed(), "another boot id")
	for _, s := range n.sandboxes {
		if !s.Gone && !slices.Contains(except, s) {
			s.RemoveNetns()
		}
	}
}
