// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"io/fs"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// mostChanges bounds the search for the last change that a request makes.
const mostChanges = 100

// killedAtChanges kills the daemon at each change that one request makes to
// what the daemon keeps, the first, the second and so on, until a request ends
// before its n-th. Whatever a daemon writes, each step between two writes is
// met this way: after the lock and before the first record, after it and before
// the first delegate, after each delegate, after the last write and before the
// answer.
func killedAtChanges(ctx context.Context, e *thick.Env, command string) {
	ginkgo.GinkgoHelper()
	gatedNetworks(e, point{}, "")
	for n := 1; ; n++ {
		Expect(n).To(BeNumerically("<", mostChanges), "%s never ends", command)
		ginkgo.By(command + ", killed at change " + node.Itoa(n))
		d := e.Start(ctx)
		s := e.Sandbox(node.Networks("alpha,beta"))
		if command == "DEL" {
			e.MustOK(e.Add(ctx, s))
		}
		changes := watchCache(e)
		flying := e.Async(ctx, e.Request(command, s))
		reached, answered := awaitChanges(ctx, changes, flying, n)
		d.Kill()
		Expect(changes.Close()).To(Succeed())
		if !answered {
			Eventually(flying).WithContext(ctx).Should(Receive(), "an answer to the request")
		}
		d = e.Start(ctx)
		e.MustOK(e.Del(ctx, s))
		Expect(append(e.Leftovers(s), e.HostLeftovers()...)).To(BeEmpty(), "after a kill at change %d of %s, a restart and DEL", n, command)
		expect.Forgotten(ctx, e, s)
		d.Stop(ctx)
		if answered && !reached {
			Expect(n).To(BeNumerically(">", 1), "%s changed nothing that the daemon keeps", command)
			e.Notef("%s: killed at each of %d changes to the daemon's files", command, n-1)
			return
		}
	}
}

// awaitChanges returns at the n-th change, or when the answer came before it.
func awaitChanges(ctx context.Context, changes *fsnotify.Watcher, flying <-chan thick.Outcome, n int) (reached, answered bool) {
	ginkgo.GinkgoHelper()
	limit := time.After(suite.Patience(thick.StartTimeout))
	for seen := 0; ; {
		select {
		case event := <-changes.Events:
			if event.Has(fsnotify.Create) || event.Has(fsnotify.Write) || event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
				seen++
			}
			if seen == n {
				return true, false
			}
		case <-flying:
			return false, true
		case <-limit:
			ginkgo.Fail("neither an answer nor another change to the daemon's files")
		case <-ctx.Done():
			ginkgo.Fail(ctx.Err().Error())
		}
	}
}

// watchCache watches every directory below the cache directory.
func watchCache(e *thick.Env) *fsnotify.Watcher {
	ginkgo.GinkgoHelper()
	w, err := fsnotify.NewWatcher()
	Expect(err).NotTo(HaveOccurred())
	Expect(node.Walk(e.CacheDir, func(path string, entry fs.DirEntry) error {
		if !entry.IsDir() {
			return nil
		}
		return w.Add(path)
	})).To(Succeed())
	return w
}
