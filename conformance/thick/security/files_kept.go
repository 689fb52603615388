// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// aSecret is a file of root's that no tenant may read.
func aSecret(e *thick.Env) string {
	ginkgo.GinkgoHelper()
	path := e.File("secret", theSecret)
	Expect(os.Chmod(path, 0o600)).To(Succeed())
	return path
}

// expectServes asserts that requests are answered in time, and that a pod that
// has nothing to do with odd files is served.
func expectServes(ctx context.Context, e *thick.Env, beside string) {
	ginkgo.GinkgoHelper()
	s, add := expectAnswers(ctx, e, beside)
	e.MustOK(add)
	expect.NothingLeft(e, s)
}

// expectAnswers asserts that requests for a pod are answered in time, and with
// success where its ADD was. It returns the pod and the answer to ADD.
func expectAnswers(ctx context.Context, e *thick.Env, beside string) (s *node.Sandbox, add *thick.Answer) {
	ginkgo.GinkgoHelper()
	s = e.Sandbox()
	for _, command := range []string{"ADD", "CHECK", "GC", "DEL"} {
		r := e.Request(command, s)
		if command == "GC" {
			if !e.Supports(thick.FeatureGC) {
				continue
			}
			r = expect.GcRequest(e, s)
		}
		start := time.Now()
		answer := expect.AwaitAnswer(e.Async(ctx, r))
		Expect(time.Since(start)).To(BeNumerically("<", suite.Patience(filesLimit)), "the time of %s beside %s", command, beside)
		Expect(answer.String()).NotTo(ContainSubstring(theSecret), "the answer")
		if command == "ADD" {
			add = answer
		}
		if command != "GC" && add.OK() { // RES-16 is about the success of GC
			e.MustOK(answer)
		}
	}
	return s, add
}

// securityManifests puts such files among the manifests of pods and definitions.
func securityManifests(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	secret := aSecret(e)
	for _, odd := range oddFiles {
		for _, path := range []string{filepath.Join(e.ClusterDir, "odd.yaml"), filepath.Join(e.ClusterDir, "odd.json")} {
			ginkgo.By(odd.what + " among the manifests: " + filepath.Base(path))
			Expect(odd.make(path, secret)).To(Succeed())
			expectServes(ctx, e, odd.what)
			Expect(os.Remove(path)).To(Succeed())
		}
	}
}

// securityKept puts such files into the run and the cache directory, and in place
// of directories that are or may be there, before the daemon starts.
func securityKept(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	e.AllowLeftovers("unusable files are kept aside where the target likes")
	secret := aSecret(e)
	for _, odd := range oddFiles {
		ginkgo.By(odd.what + " in the run directory and wherever the daemon keeps something")
		planted := plantOdd(e, func(path string) error { return odd.make(path, secret) })
		d := e.Start(ctx)
		expectServes(ctx, e, odd.what)
		expectEnds(d)
		unplant(planted)
	}
	// A command that lists records may fail while a directory of theirs is a pipe.
	e.ListRecords = nil
	for _, dir := range keptDirectories(e) {
		ginkgo.By("a pipe in place of " + dir)
		expectPipeBorne(ctx, e, dir)
	}
}

// plantOdd makes odd files of the names that are usual there: of a sandbox, of its
// record, of the cache that CNI's library keeps, and of nothing that is known.
func plantOdd(e *thick.Env, odd func(path string) error) (planted []string) {
	ginkgo.GinkgoHelper()
	dirs := []string{e.RunDir}
	Expect(node.Walk(e.CacheDir, func(path string, entry fs.DirEntry) error {
		if entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})).To(Succeed())
	results := filepath.Join(e.CacheDir, "results")
	if err := os.Mkdir(results, 0o700); !errors.Is(err, fs.ErrExist) {
		Expect(err).NotTo(HaveOccurred())
		dirs = append(dirs, results)
	}
	for _, dir := range dirs {
		id := node.RandomHex(32)
		for _, name := range []string{id, id + ".json", id + ":eth0.json", "default-" + id + "-eth0", "odd"} {
			path := filepath.Join(dir, name)
			Expect(odd(path)).To(Succeed())
			planted = append(planted, path)
		}
	}
	return planted
}

// unplant removes what the daemon has not put aside.
func unplant(planted []string) {
	ginkgo.GinkgoHelper()
	for _, path := range planted {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			Expect(err).NotTo(HaveOccurred())
		}
	}
}

// keptDirectories are the directories right below the cache directory, and those
// that are usual there.
func keptDirectories(e *thick.Env) []string {
	ginkgo.GinkgoHelper()
	entries, err := os.ReadDir(e.CacheDir)
	Expect(err).NotTo(HaveOccurred())
	dirs := map[string]bool{filepath.Join(e.CacheDir, "results"): true, e.PendingDir: true}
	for _, entry := range entries {
		if entry.IsDir() {
			dirs[filepath.Join(e.CacheDir, entry.Name())] = true
		}
	}
	all := make([]string, 0, len(dirs))
	for dir := range dirs {
		all = append(all, dir)
	}
	return all
}

// expectPipeBorne puts a pipe in place of a directory. The daemon may say that it
// cannot start like that; it must not wait for the pipe.
func expectPipeBorne(ctx context.Context, e *thick.Env, dir string) {
	ginkgo.GinkgoHelper()
	away := dir + "-away"
	err := os.Rename(dir, away)
	missing := errors.Is(err, fs.ErrNotExist)
	Expect(err).To(Or(Not(HaveOccurred()), MatchError(fs.ErrNotExist)))
	Expect(syscall.Mkfifo(dir, 0o600)).To(Succeed())
	d := e.Start(ctx, thick.WithoutWaiting())
	Eventually(func() bool { return d.Ended() || e.Probe(ctx, e.RunDir, "/healthz") == nil }).WithContext(ctx).
		WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).Should(BeTrue(), "the daemon serves, or ends and says why")
	var refused *node.Sandbox
	if !d.Ended() {
		e.AwaitServing(ctx, d)
		// A daemon may refuse an ADD that it cannot record.
		if s, add := expectAnswers(ctx, e, "a pipe in place of "+dir); !add.OK() {
			refused = s
		}
		expectEnds(d)
	}
	if err := os.Remove(dir); err != nil { // the daemon may have put it aside, and made a directory
		Expect(os.RemoveAll(dir)).To(Succeed())
	}
	if !missing {
		Expect(os.Rename(away, dir)).To(Succeed())
	}
	if refused != nil {
		d = e.Start(ctx)
		e.MustOK(e.Del(ctx, refused))
		expect.NothingLeft(e, refused)
		expectEnds(d)
	}
}

// securityNodeConfiguration puts such files where the runtime's configuration
// lies, under names that come before and after the daemon's own, and under its own.
func securityNodeConfiguration(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	secret := aSecret(e)
	for _, odd := range oddFiles {
		ginkgo.By(odd.what + " beside the runtime's configuration, and in its place")
		for _, names := range [][]string{{"05-odd.conf"}, {"20-odd.conflist", "00-multus.conflist", "00-multus.conf"}} {
			expectNodeBears(ctx, e, names, odd.what, func(path string) error { return odd.make(path, secret) })
		}
	}
}

// expectNodeBears asserts that the daemon lives, ends at SIGTERM, starts and
// lives beside odd files, and serves when they have gone.
func expectNodeBears(ctx context.Context, e *thick.Env, names []string, what string, odd func(path string) error) {
	ginkgo.GinkgoHelper()
	lives := func() {
		Eventually(func() error { return e.Probe(ctx, e.RunDir, "/healthz") }).WithContext(ctx).
			WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).Should(Succeed())
	}
	network := func() { e.NodeNetwork("10-default.conflist", e.FakeList("default", expect.VethFake())) }
	network()
	d := e.Start(ctx, thick.NodeConfiguration())
	e.AwaitNodeConf(ctx, "")
	var planted []string
	for _, name := range names {
		// As a rename, so that the daemon finds it in place of its own file.
		temp, path := filepath.Join(e.Dir, "odd"), filepath.Join(e.CNIConfDir, name)
		Expect(odd(temp)).To(Succeed())
		Expect(os.Rename(temp, path)).To(Succeed())
		planted = append(planted, path)
	}
	lives()
	expectEnds(d)
	again := e.Start(ctx, thick.NodeConfiguration(), thick.WithoutWaiting())
	lives()
	unplant(planted)
	network() // which it follows (RES-08)
	e.AwaitServing(ctx, again)
	e.AwaitNodeConf(ctx, "")
	expectServes(ctx, e, what+" that has gone")
	expectEnds(again)
}
