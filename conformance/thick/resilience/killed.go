// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

const (
	// kills is how often the daemon is killed at a random moment.
	kills = 300
	// killSeed fixes those moments, as far as a machine's timing can be fixed.
	killSeed = 20180323
	// killWithin bounds the moment, counted from the daemon's first answer.
	killWithin = 60 * time.Millisecond
)

// killedAnywhere is RES-01: at each delegate of ADD and DEL and between them, at
// each change to what the daemon keeps, and at random moments.
func killedAnywhere(ctx context.Context, e *thick.Env) {
	killedAtPoints(ctx, e)
	killedAtChanges(ctx, e, "ADD")
	killedAtChanges(ctx, e, "DEL")
	killedAtRandom(ctx, e)
}

// point is a moment at which the daemon is killed: while the delegate of a
// network waits at a command, or (with none) between requests.
type point struct{ command, network string }

func killedAtPoints(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	d := e.Start(ctx)
	for _, at := range []point{
		{"ADD", "default"}, {"ADD", "alpha"}, {"ADD", "beta"}, {"", ""}, {"DEL", "beta"}, {"DEL", "alpha"}, {"DEL", "default"},
	} {
		ginkgo.By("killed at " + at.command + " of " + at.network)
		d = killedAt(ctx, e, d, at)
	}
	d.Kill()
}

// killedAt holds one delegate, kills the daemon, starts another one and lets
// the runtime do what it does then: DEL. A delegate that is held at ADD is let
// go only when that is over: what it attaches then must not stay.
func killedAt(ctx context.Context, e *thick.Env, d *thick.Daemon, at point) *thick.Daemon {
	ginkgo.GinkgoHelper()
	gate := filepath.Join(e.Dir, "gate-"+node.RandomHex(3))
	gatedNetworks(e, at, gate)
	s := e.Sandbox(node.Networks("alpha,beta"))
	if at.command != "ADD" {
		e.MustOK(e.Add(ctx, s))
	}
	var flying <-chan thick.Outcome
	if at.command != "" {
		flying = e.Async(ctx, e.Request(at.command, s))
		e.AwaitCalls(ctx, 1, expect.CallOf(s, at.command, at.network))
	}
	d.Kill()
	if at.command == "DEL" {
		otherNetworks(e)
		e.Touch(gate)
	}
	if flying != nil {
		Eventually(flying).WithContext(ctx).Should(Receive(), "an answer to the request")
	}
	d = e.Start(ctx)
	e.MustOK(e.Del(ctx, s))
	e.Touch(gate)
	for _, c := range e.CallsFor("ADD", s) {
		Eventually(func() bool { return node.Alive(c.PID) }).WithContext(ctx).WithTimeout(5*time.Second).
			Should(BeFalse(), "the delegate of %s, which the killed daemon left", c.Network)
	}
	Expect(append(e.Leftovers(s), e.HostLeftovers()...)).To(BeEmpty(), "after a kill at %s of %s, a restart and DEL", at.command, at.network)
	expect.Forgotten(ctx, e, s)
	return d
}

// gatedNetworks makes the three networks, one of whose delegates waits.
func gatedNetworks(e *thick.Env, at point, gate string) {
	ginkgo.GinkgoHelper()
	for _, name := range []string{"default", "alpha", "beta"} {
		f := expect.VethFake()
		if name == at.network && at.command == "ADD" {
			f.Add.WaitFor = gate
		}
		if name == at.network && at.command == "DEL" {
			f.Del.WaitFor = gate
		}
		if name == "default" {
			e.DefaultNetwork(e.FakeList(name, f))
		} else {
			e.Definition(name, e.FakeList(name, f))
		}
	}
}

// otherNetworks gives the networks configurations by which nothing of what stands
// could be deleted: what ADD used has to be known still (DEL-04).
func otherNetworks(e *thick.Env) {
	ginkgo.GinkgoHelper()
	e.DefaultNetwork(e.FakeList("default", script.Fake{}))
	for _, name := range []string{"alpha", "beta"} {
		e.Definition(name, e.FakeList(name, script.Fake{}))
	}
}

// killedAtRandom has four runtimes attach and delete without pause, while the
// daemon is killed over and over, and counts what is left in the end.
func killedAtRandom(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	e.RealPlugins()
	e.DefaultNetwork(expect.RealBridge(e, "default", "br-kill", "10.66.0.0/16"))
	e.Definition("alpha", e.FakeList("alpha", expect.VethFake()))
	ginkgo.By("seed " + node.Itoa(killSeed))
	random := rand.New(rand.NewPCG(killSeed, 0))
	churn, stop := context.WithCancel(ctx)
	defer stop()
	var runtimes sync.WaitGroup
	var all []*node.Sandbox
	for range 4 {
		s := e.Sandbox(node.Networks("alpha"))
		all = append(all, s)
		runtimes.Go(func() { attachAndDelete(churn, e, s) })
	}
	for range kills {
		d := e.Start(ctx, thick.WithoutWaiting())
		Eventually(func() error { return e.Probe(ctx, e.RunDir, "/healthz") }).WithContext(ctx).
			WithTimeout(thick.StartTimeout).WithPolling(2*time.Millisecond).Should(Succeed(), "the daemon serves: /healthz")
		select {
		case <-time.After(time.Duration(random.Int64N(int64(killWithin)))):
		case <-ctx.Done():
		}
		d.Kill()
	}
	stop()
	runtimes.Wait()
	expectNothingAfterKills(ctx, e, all)
}

// attachAndDelete is a runtime: it does not care what has become of a request,
// and asks for DEL after every ADD.
func attachAndDelete(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	for ctx.Err() == nil {
		for _, command := range []string{"ADD", "DEL"} {
			if _, err := e.TryPost(ctx, "/cni", e.Request(command, s)); err != nil {
				// Nobody there: look again in a moment.
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
	}
}

func expectNothingAfterKills(ctx context.Context, e *thick.Env, all []*node.Sandbox) {
	ginkgo.GinkgoHelper()
	d := e.Start(ctx)
	records, held, interfaces := 0, 0, 0
	for _, s := range all {
		e.MustOK(e.Del(ctx, s))
		records += len(e.RecordsOf(s))
		held += len(e.Leases(s))
		interfaces += len(s.InterfaceNames())
	}
	host, err := net.Interfaces()
	Expect(err).NotTo(HaveOccurred())
	for _, i := range host {
		if strings.HasPrefix(i.Name, "veth") || strings.HasPrefix(i.Name, "fk") {
			interfaces++
		}
	}
	d.Stop(ctx)
	_ = node.Await(suite.ForeignProcesses, 5*time.Second)
	processes := len(suite.ForeignProcesses())
	e.Notef("%d kills with seed %d; left: %d interfaces, %d leases, %d records, %d processes", kills, killSeed, interfaces, held, records, processes)
	Expect([]int{interfaces, held, records, processes}).To(Equal([]int{0, 0, 0, 0}), "interfaces, leases, records, processes that are left")
}
