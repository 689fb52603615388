// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"context"
	"os"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// What cases ask of a daemon that already runs. Nothing here could attach or
// delete anything, also by a faulty daemon: containers have random ids, and no
// request is a complete ADD.

// liveSocket is SOCK-01 as far as it shows from outside.
func liveSocket(_ context.Context, e *thick.Env) {
	info, err := os.Lstat(e.Socket())
	Expect(err).NotTo(HaveOccurred())
	Expect(info.Mode().Type()).To(Equal(os.ModeSocket), "%s is %s", e.Socket(), info.Mode())
}

// liveMode is SOCK-02 now, and not at every instant.
func liveMode(_ context.Context, e *thick.Env) {
	Expect(expect.Owned(e.Socket())).To(Equal("0:0 0600"), "owner and mode of the socket")
}

// liveRunDir is SOCK-07 for the directory that the daemon has accepted.
func liveRunDir(_ context.Context, e *thick.Env) {
	Expect(expect.Owned(e.RunDir)).To(MatchRegexp(`^0:0 0[0-7][0145][0145]$`), "a run directory that is root's, and that nobody else writes in")
}
