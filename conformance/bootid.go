// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// bootIDPath is where the kernel publishes the id of this boot.
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// Reboot has every daemon that starts from now on see another boot: another
// boot id, mounted over the kernel's in the case's own mount namespace, and
// no network namespace of a sandbox, except those at whose path another one
// with the same number stands: both begin anew with the kernel. The daemon must
// have ended before.
func (e *Env) Reboot(except ...*Sandbox) {
	ginkgo.GinkgoHelper()
	if !isolated() {
		e.Skipf("a reboot is simulated by a mount over %s, and this process has no mount namespace of its own", bootIDPath)
	}
	id := e.File("boot_id", randomHex(4)+"-"+randomHex(2)+"-4"+randomHex(1)+"0-8"+randomHex(1)+"0-"+randomHex(6)+"\n")
	Expect(unix.Mount(id, bootIDPath, "", unix.MS_BIND, "")).To(Succeed(), "another boot id")
	for _, s := range e.sandbox {
		if !s.gone && !slices.Contains(except, s) {
			s.RemoveNetns()
		}
	}
}
