// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// socketOnly is SOCK-01. The case has a network namespace of its own, so the
// kernel's lists of sockets are the whole truth about who listens in it. They
// are read again after an ADD: a daemon may open more when it works.
func socketOnly(ctx context.Context, e *thick.Env) {
	suite := listenersOfSuite(e)
	// Multus' own default, /run/multus/, ends in a slash.
	for _, runDir := range runRounds(e, e.RunDir, filepath.Join(e.Dir, "elsewhere")+"/") {
		ginkgo.By("run directory " + runDir)
		d := e.Start(ctx, thick.RunDir(runDir))
		expectOnlySocket(api.SocketPath(runDir), suite)
		if runDir == e.RunDir {
			s := e.Sandbox()
			e.MustOK(e.Add(ctx, s))
			expectOnlySocket(e.Socket(), suite)
			e.MustOK(e.Del(ctx, s))
		}
		d.Stop(ctx)
	}
}

// expectOnlySocket asserts that path is a socket, no link to one, and that
// exactly one listener exists, there, beside the suite's own.
func expectOnlySocket(path string, own []string) {
	ginkgo.GinkgoHelper()
	info, err := os.Lstat(path)
	Expect(err).NotTo(HaveOccurred())
	Expect(info.Mode().Type()).To(Equal(fs.ModeSocket), "%s must be a unix socket, it is %s", path, info.Mode())
	if suite.Isolated() {
		Expect(listeners()).To(ConsistOf(append(slices.Clone(own), "unix "+path)), "who listens in the daemon's network namespace")
	}
}

// listenersOfSuite are those before the daemon starts: the API server's front,
// for a daemon that has one.
func listenersOfSuite(e *thick.Env) []string {
	ginkgo.GinkgoHelper()
	if !suite.Isolated() {
		return nil
	}
	before := listeners()
	if e.Supports(thick.FeatureKubernetes) {
		Expect(before).To(HaveLen(1), "who listens before the daemon does")
		return before
	}
	Expect(before).To(BeEmpty(), "who listens before the daemon does")
	return nil
}

// listeners lists the sockets of this network namespace that a peer could
// reach: unix sockets that listen, abstract ones included, datagram sockets
// with a name, and TCP and UDP ports.
func listeners() []string {
	ginkgo.GinkgoHelper()
	found := unixListeners()
	for table, state := range map[string]string{"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"} {
		for _, f := range socketTable(table) {
			if f[3] == state {
				found = append(found, table+" "+f[1])
			}
		}
	}
	slices.Sort(found)
	return found
}

func unixListeners() []string {
	ginkgo.GinkgoHelper()
	const (
		acceptsConnections = 1 << 16 // __SO_ACCEPTCON
		datagram           = "0002"
		namedFields        = 8
	)
	var found []string
	for _, f := range socketTable("unix") {
		flags, err := strconv.ParseUint(f[3], 16, 32)
		Expect(err).NotTo(HaveOccurred())
		name := strings.Join(f[min(len(f), namedFields-1):], " ")
		if flags&acceptsConnections != 0 || f[4] == datagram && name != "" {
			found = append(found, "unix "+name)
		}
	}
	return found
}

// socketTable reads a table of /proc/net without its heading; one that the
// kernel does not have is empty.
func socketTable(name string) [][]string {
	ginkgo.GinkgoHelper()
	data, err := os.ReadFile("/proc/self/net/" + name)
	if os.IsNotExist(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	var rows [][]string
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if i > 0 {
			rows = append(rows, strings.Fields(line))
		}
	}
	return rows
}

// rounds leaves only the first run directory for a target of which one daemon
// alone can be started.
func runRounds(e *thick.Env, runDirs ...string) []string {
	if !e.Supports(thick.FeatureRestart) {
		return runDirs[:1]
	}
	return runDirs
}

// socketMode is SOCK-02: neither the umask nor a run directory that was there
// before changes the socket's mode, and serving does not either.
func socketMode(ctx context.Context, e *thick.Env) {
	present := filepath.Join(e.Dir, "present")
	Expect(os.Mkdir(present, 0o700)).To(Succeed())
	masks := []int{0, 0o022, 0o077}
	for i, runDir := range runRounds(e, e.RunDir, present, filepath.Join(e.Dir, "strict")) {
		ginkgo.By(fmt.Sprintf("umask %03o, run directory %s", masks[i], runDir))
		expect.UnderUmask(masks[i], func() {
			d := e.Start(ctx, thick.RunDir(runDir))
			Expect(expect.Owned(api.SocketPath(runDir))).To(Equal("0:0 0600"), "owner and mode of the socket")
			if runDir == e.RunDir {
				expect.Serves(ctx, e)
				Expect(expect.Owned(e.Socket())).To(Equal("0:0 0600"), "after an ADD and a DEL")
			}
			d.Stop(ctx)
		})
	}
}

// socketRunDirMade is SOCK-03. Parents that the daemon makes on the way must
// be safe too: who can write there can put another directory in its place.
func socketRunDirMade(ctx context.Context, e *thick.Env) {
	parents := []string{filepath.Join(e.Dir, "a"), filepath.Join(e.Dir, "a", "b")}
	for _, runDir := range runRounds(e, filepath.Join(parents[1], "run"), e.RunDir) {
		ginkgo.By("missing: " + runDir)
		Expect(runDir).NotTo(BeAnExistingFile(), "the run directory")
		expect.UnderUmask(0, func() {
			d := e.Start(ctx, thick.RunDir(runDir))
			Expect(runDir).To(BeADirectory(), "the run directory")
			Expect(expect.Owned(runDir)).To(Equal("0:0 0700"), "owner and mode of the run directory")
			d.Stop(ctx)
		})
	}
	for _, p := range parents {
		info, err := os.Stat(p)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()&0o022).To(BeZero(), "%s, which the daemon made, has mode %s", p, info.Mode())
	}
}

// socketNeverLax is SOCK-04. A daemon that listens first and calls chmod then
// is seen in between; the umask of 0 makes whatever it did not think of lax.
// Where the daemon can be killed, every other restart has to replace a socket.
func socketNeverLax(ctx context.Context, e *thick.Env) {
	const restarts = 50
	observer := e.Observe(ctx, e.Socket())
	slow := false // one that takes its time to end is killed from then on
	expect.UnderUmask(0, func() {
		for i := range restarts + 1 {
			d := e.Start(ctx)
			if (i%2 == 1 || slow) && e.Supports(thick.FeatureKill) {
				d.Kill()
				continue
			}
			began := time.Now()
			d.Stop(ctx)
			slow = time.Since(began) > suite.Patience(2*time.Second)
		}
	})
	seen := observer.Stop()
	ginkgo.By(fmt.Sprintf("saw the socket in %d of %d samples", seen.Seen, seen.Samples))
	Expect(seen.Seen).To(BeNumerically(">", restarts), "samples in which the socket was there")
	Expect(seen.Modes).To(HaveLen(1), "modes of the socket, and how often each was seen")
	Expect(seen.Modes).To(HaveKey("0600"), "modes of the socket that were seen")
	Expect(seen.Owners).To(HaveLen(1), "owners of the socket, and how often each was seen")
	Expect(seen.Owners).To(HaveKey("0:0"), "owners of the socket that were seen")
}
