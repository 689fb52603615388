// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// withdrawLimit is how long a pod may show the status of a sandbox that is
// gone: neither DEL nor a rollback has to wait for an API server.
const withdrawLimit = 10 * time.Second

// UnderUmask runs f with the process's umask, which a daemon that is started
// meanwhile inherits: under 0 nothing is private by luck.
func UnderUmask(mask int, f func()) {
	before := syscall.Umask(mask)
	defer syscall.Umask(before)
	f()
}

// Owned renders a file's owner and mode, "0:0 0600".
func Owned(path string) string {
	ginkgo.GinkgoHelper()
	var st syscall.Stat_t
	Expect(syscall.Lstat(path, &st)).To(Succeed(), path)
	return fmt.Sprintf("%d:%d %04o", st.Uid, st.Gid, st.Mode&0o7777)
}

// Serves asserts that the daemon of the case's run directory attaches
// and detaches a sandbox.
func Serves(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	Expect(e.CallsFor("ADD", s)).To(HaveLen(1), "ADDs of the delegate")
	e.MustOK(e.Del(ctx, s))
	a, err := e.Do(ctx, http.MethodGet, api.MultusHealthAPIEndpoint, nil, nil)
	Expect(err).NotTo(HaveOccurred())
	Expect(a.Status).To(Equal(http.StatusOK), "the HTTP status of the answer")
}

// StaleSocket leaves a socket on which nobody listens any more, as a daemon
// that crashed does.
func StaleSocket(path string) {
	ginkgo.GinkgoHelper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	Expect(err).NotTo(HaveOccurred())
	l.SetUnlinkOnClose(false)
	Expect(l.Close()).To(Succeed())
}

// Stamps describes all files below some paths so that any change shows: what
// they are, whose, which inode, when written, and what is in them.
func Stamps(paths ...string) map[string]string {
	ginkgo.GinkgoHelper()
	all := map[string]string{}
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				all[path], err = thick.Stamp(path)
			}
			if os.IsNotExist(err) {
				all[path], err = "missing", nil
			}
			return err
		})
		Expect(err).NotTo(HaveOccurred())
	}
	return all
}

// CallIn matches a command's calls for a sandbox in one network.
func CallIn(network, command string, s *node.Sandbox) func(script.Call) bool {
	return func(c script.Call) bool { return c.Network == network && c.Command == command && c.ContainerID == s.ID }
}

// Answered waits for the answer to a request that was sent by Async.
func Answered(ctx context.Context, outcome <-chan thick.Outcome) *thick.Answer {
	ginkgo.GinkgoHelper()
	var o thick.Outcome
	Eventually(outcome).WithContext(ctx).WithTimeout(thick.StartTimeout).Should(Receive(&o), "an answer")
	Expect(o.Err).NotTo(HaveOccurred())
	return o.Answer
}
