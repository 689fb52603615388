// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

var leaksCases = []thick.Case{
	{
		ID: "RES-07", Level: spec.Must, Source: "OPS", Body: resilienceNoLeaks, Slow: 40 * time.Second, Timeout: 240 * time.Second,
		Title: "No file descriptor, thread, process, namespace or memory is leaked over 1,000 ADD/DEL pairs and 20,000 smaller requests",
	},
}

const (
	leakPairs   = 1000
	leakWarmUp  = 50
	leakWorkers = 8
	// leakSandboxes are used again and again, each by one worker.
	leakSandboxes = 24
	// Every leakFurther-th sandbox asks for a further network, which makes a real
	// interface: a leak of each delegate still shows, and delegates are most of the
	// time that the case takes.
	leakFurther = 3
	// leakSmall is how many requests come first that run no delegate. A goroutine that
	// each leaves behind keeps some 50 MiB in the end.
	leakSmall = 20000
	// leakMemory is how many bytes a daemon's own memory may grow by meanwhile: a
	// garbage collector may take its time with that much.
	leakMemory = 24 << 20
	// leakSettle is how long a daemon may take to be at rest again.
	leakSettle = 15 * time.Second
)

// holdings is what a daemon, and the machine because of it, has in use.
type holdings struct {
	// Descriptors, by what they are of, threads and goroutines come and go; goroutines
	// are known only of a daemon that is linked in, together with the suite's own.
	descriptors         map[string]int
	threads, goroutines int
	// Children, namespaces and mounts have to be the same in the end.
	children, namespaces, mounts []string
}

// resilienceNoLeaks is RES-07.
func resilienceNoLeaks(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default"))
	e.Definition("second", e.FakeList("second", expect.VethFake()))
	d := e.Start(ctx)
	var sandboxes []*node.Sandbox
	for i := range leakSandboxes {
		var networks []node.SandboxOption
		if i%leakFurther == 0 {
			networks = append(networks, node.Networks("second"))
		}
		sandboxes = append(sandboxes, e.Sandbox(networks...))
	}
	idle := held(d)
	attachInParallel(ctx, e, sandboxes, leakWarmUp)
	if e.Supports(thick.FeatureProcess) {
		smallRequests(ctx, e, d)
	}
	before := settled(d, idle)
	began := time.Now()
	attachInParallel(ctx, e, sandboxes, leakPairs)
	took := time.Since(began)
	after := settled(d, before)
	e.Notef("%d ADD/DEL pairs in %s; descriptors %d before, %d after, threads %d, %d, goroutines %d, %d", leakPairs, took.Round(time.Second/10),
		total(before.descriptors), total(after.descriptors), before.threads, after.threads, before.goroutines, after.goroutines)
	for _, problem := range after.beyond(before) {
		Expect(problem).To(BeEmpty(), "leaked over %d ADD/DEL pairs; descriptors now: %v", leakPairs, after.descriptors)
	}
	for _, s := range sandboxes {
		Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of a sandbox after its last DEL")
	}
	Expect(e.HostLeftovers()).To(BeEmpty(), "what is left of the sandbox")
}

// smallRequests asks for CHECKs of a container that nobody knows: what is seen
// of a daemon's goroutines from outside is the memory that they keep.
func smallRequests(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	ginkgo.By("requests that run no delegate")
	r := e.Request("CHECK", e.Sandbox())
	ask := func(requests int) {
		ginkgo.GinkgoHelper()
		var done atomic.Int64
		var workers sync.WaitGroup
		failures := make(chan error, leakWorkers)
		for range leakWorkers {
			workers.Go(func() {
				for done.Add(1) <= int64(requests) {
					if _, err := e.TryPost(ctx, api.MultusCNIAPIEndpoint, r); err != nil {
						failures <- err
						return
					}
				}
			})
		}
		workers.Wait()
		close(failures)
		for err := range failures {
			Expect(err).NotTo(HaveOccurred())
		}
	}
	ask(leakSmall / 10)
	before, held := ownMemory(d), held(d)
	ask(leakSmall)
	after := settled(d, held)
	Eventually(ownMemory).WithArguments(d).WithContext(ctx).WithTimeout(20*time.Second).WithPolling(time.Second).
		Should(BeNumerically("<", before+leakMemory), "bytes of the daemon's own memory after %d requests; %d before", leakSmall, before)
	e.Notef("%d requests without a delegate; %d KiB of the daemon's own memory before, %d after", leakSmall, before>>10, ownMemory(d)>>10)
	for _, problem := range after.beyond(held) {
		Expect(problem).To(BeEmpty(), "leaked over %d requests", leakSmall)
	}
}

// ownMemory is the memory of a process that is in no file, in bytes.
func ownMemory(d *thick.Daemon) int64 {
	ginkgo.GinkgoHelper()
	status, err := os.ReadFile(filepath.Join("/proc", node.Itoa(d.PID()), "status"))
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(status)) {
		if kilobytes, found := strings.CutPrefix(line, "RssAnon:"); found {
			n, err := strconv.ParseInt(strings.Fields(kilobytes)[0], 10, 64)
			Expect(err).NotTo(HaveOccurred())
			return n << 10
		}
	}
	ginkgo.Fail("no RssAnon in /proc/PID/status")
	return 0
}

// attachInParallel does so many pairs of ADD and DEL; a sandbox belongs to one
// worker. The delegates' own records are thrown away, as they are many.
func attachInParallel(ctx context.Context, e *thick.Env, sandboxes []*node.Sandbox, pairs int) {
	ginkgo.GinkgoHelper()
	var done atomic.Int64
	var workers sync.WaitGroup
	failures := make(chan string, leakWorkers)
	for w := range leakWorkers {
		workers.Go(func() {
			for i := w; done.Add(1) <= int64(pairs); i += leakWorkers {
				s := sandboxes[i%len(sandboxes)]
				if problem := attachOnce(ctx, e, s); problem != "" {
					failures <- problem
					return
				}
			}
		})
	}
	workers.Wait()
	close(failures)
	for problem := range failures {
		ginkgo.Fail(problem)
	}
	e.ResetCalls()
}

// attachOnce does ADD and DEL and says what went wrong.
func attachOnce(ctx context.Context, e *thick.Env, s *node.Sandbox) string {
	for _, command := range []string{"ADD", "DEL"} {
		a, err := e.TryPost(ctx, api.MultusCNIAPIEndpoint, e.Request(command, s))
		if err != nil {
			return command + ": " + err.Error()
		}
		if !a.OK() {
			return command + " was answered with " + a.String()
		}
	}
	return ""
}

// settled returns what a daemon holds once it holds no more than before, or
// after some seconds, of which a busy machine needs more.
func settled(d *thick.Daemon, before *holdings) *holdings {
	ginkgo.GinkgoHelper()
	node.Await(func() []string { return held(d).beyond(before) }, leakSettle)
	return held(d)
}

// beyond says what is more than before. A runtime of Go keeps threads that it had to
// make once, a daemon keeps connections, or a control group for each delegate of a
// moment: eight requests at a time make more or fewer of them.
func (h *holdings) beyond(before *holdings) []string {
	var problems []string
	count := func(what string, now, before, margin int) {
		if now > before+margin {
			problems = append(problems, fmt.Sprintf("%s: %d, %d before", what, now, before))
		}
	}
	count("file descriptors", total(h.descriptors), total(before.descriptors), 2*leakWorkers)
	count("threads", h.threads, before.threads, 2*leakWorkers)
	count("goroutines", h.goroutines, before.goroutines, 3)
	set := func(what string, now, before []string) {
		if !slices.Equal(now, before) {
			problems = append(problems, fmt.Sprintf("%s: %v, %v before", what, now, before))
		}
	}
	set("child processes", h.children, before.children)
	set("network namespaces of threads", h.namespaces, before.namespaces)
	set("mounts of namespaces", h.mounts, before.mounts)
	return problems
}

// held looks at a daemon; at this process for one that is linked in.
func held(d *thick.Daemon) *holdings {
	ginkgo.GinkgoHelper()
	pid := d.PID()
	h := &holdings{}
	if pid == 0 {
		pid, h.goroutines = os.Getpid(), runtime.NumGoroutine()
	}
	proc := filepath.Join("/proc", node.Itoa(pid))
	descriptors, err := os.ReadDir(filepath.Join(proc, "fd"))
	Expect(err).NotTo(HaveOccurred())
	threads, err := os.ReadDir(filepath.Join(proc, "task"))
	Expect(err).NotTo(HaveOccurred())
	h.descriptors, h.threads = map[string]int{}, len(threads)
	for _, f := range descriptors {
		h.descriptors[openedBy(filepath.Join(proc, "fd", f.Name()))]++
	}
	for _, t := range threads {
		// A thread that has just ended has none.
		if namespace, err := os.Readlink(filepath.Join(proc, "task", t.Name(), "ns/net")); err == nil {
			h.namespaces = append(h.namespaces, namespace)
		}
	}
	slices.Sort(h.namespaces)
	h.namespaces = slices.Compact(h.namespaces)
	h.children = childrenOf(pid)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " - nsfs ") {
			h.mounts = append(h.mounts, strings.Fields(line)[4])
		}
	}
	slices.Sort(h.mounts)
	return h
}

// openedBy says what a descriptor is of: a path, or the kind of socket or pipe.
func openedBy(link string) string {
	of, err := os.Readlink(link)
	if err != nil {
		return "closed meanwhile"
	}
	kind, _, _ := strings.Cut(of, ":[")
	return kind
}

// total counts all kinds of descriptors.
func total(descriptors map[string]int) int {
	n := 0
	for _, count := range descriptors {
		n += count
	}
	return n
}

// childrenOf lists the processes that a process has started, also those that
// are dead and not waited for.
func childrenOf(pid int) []string {
	ginkgo.GinkgoHelper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	Expect(err).NotTo(HaveOccurred())
	var found []string
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// After the name, which may have blanks: state and parent.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 1 && fields[1] == node.Itoa(pid) {
			found = append(found, filepath.Base(filepath.Dir(path))+" "+fields[0])
		}
	}
	return found
}
