// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

const (
	// daemonAbsent is for how long the shims are left without a daemon.
	daemonAbsent = 500 * time.Millisecond
	// delLimit is how long a DEL may take without one.
	delLimit = 2 * time.Second
)

// readyShimWaits is READY-09, judged by what the shim does to a daemon of the
// suite's own, and once through the whole chain.
func readyShimWaits(ctx context.Context, e *Env) {
	e.AllowLeftovers("DELs without a daemon are recorded for the next one, which this case does not start for each")
	readyDelNeverWaits(ctx, e)
	readyShimsAwaitStub(ctx, e)
	readyOneRequestEach(ctx, e)
	readyShimsAwaitDaemon(ctx, e)
}

// readyDelNeverWaits: without run directory, without socket, refused, and with
// a daemon that hangs up, which counts how often it is asked.
func readyDelNeverWaits(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	del := func(why string) {
		ginkgo.GinkgoHelper()
		ctx, cancel := context.WithTimeout(ctx, 5*delLimit)
		defer cancel()
		run := e.Shim(ctx, "DEL", e.Sandbox())
		Expect(run.Duration).To(BeNumerically("<", delLimit), "DEL waits although %s", why)
		Expect(run.ExitCode == 0 || run.Error() != nil).To(BeTrue(), "%s: exit status %d with %q %q", why, run.ExitCode, run.Stdout, run.Stderr)
	}
	del("there is no run directory")
	Expect(os.Mkdir(e.RunDir, 0o700)).To(Succeed())
	del("there is no socket")
	staleSocket(e.Socket())
	del("the connection is refused")
	Expect(os.Remove(e.Socket())).To(Succeed())
	var connections atomic.Int32
	l := e.misbehave(e.RunDir, func(c net.Conn) {
		connections.Add(1)
		_ = c.Close()
	})
	del("the daemon hangs up")
	Expect(connections.Load()).To(BeNumerically("<=", 2), "connections of a DEL: one check and one request at the most")
	Expect(l.Close()).To(Succeed())
	Expect(os.Remove(e.Socket())).To(Succeed())
}

// readyShimsAwaitStub: ADD and CHECK wait for a daemon that comes later, after
// a socket that refuses too, and then send their request once.
func readyShimsAwaitStub(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	for _, left := range []func(){func() {}, func() { staleSocket(e.Socket()) }} {
		left()
		s := e.Sandbox()
		add, check := e.StartShim(ctx, "ADD", s), e.StartShim(ctx, "CHECK", s)
		expectShimsWaiting(add, check)
		Expect(os.RemoveAll(e.Socket())).To(Succeed())
		stub := e.Stub(http.HandlerFunc(answerAll))
		Expect(add.Wait(ctx).Result100().CNIVersion).To(Equal(e.CNIVersion))
		expectSucceeded(check.Wait(ctx))
		Expect(requestsOf(stub, "ADD")).To(Equal(1), "requests of one ADD on /cni")
		Expect(requestsOf(stub, "CHECK")).To(Equal(1), "requests of one CHECK on /cni")
		stub.Close()
	}
}

func expectShimsWaiting(shims ...*ShimProcess) {
	ginkgo.GinkgoHelper()
	Consistently(func() int {
		ended := 0
		for _, s := range shims {
			select {
			case <-s.Done():
				ended++
			default:
			}
		}
		return ended
	}).WithTimeout(daemonAbsent).Should(BeZero(), "shims that ended instead of waiting for the daemon")
}

// readyOneRequestEach: with a daemon there is one request of each command, and
// of DEL at most one check.
func readyOneRequestEach(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	stub := e.Stub(http.HandlerFunc(answerAll))
	defer stub.Close()
	s := e.Sandbox()
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		before := probesOf(stub)
		expectSucceeded(e.Shim(ctx, command, s))
		Expect(requestsOf(stub, command)).To(Equal(1), "requests of one %s on /cni", command)
		if command == "DEL" {
			Expect(probesOf(stub)-before).To(BeNumerically("<=", 1), "checks of one DEL")
		}
	}
	Expect(stub.RequestsTo(api.MultusCNIAPIEndpoint)).To(HaveLen(3))
}

// readyShimsAwaitDaemon: the same with the target's own daemon and a delegate.
func readyShimsAwaitDaemon(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	add := e.StartShim(ctx, "ADD", s)
	expectShimsWaiting(add)
	e.Start(ctx)
	Expect(add.Wait(ctx).Result100().Interfaces).NotTo(BeNil())
	Expect(e.CallsFor("ADD", s)).To(HaveLen(1), "ADDs of the delegate")
	expectSucceeded(e.Shim(ctx, "CHECK", s))
	expectSucceeded(e.Shim(ctx, "DEL", s))
	Expect(e.CallsFor("DEL", s)).To(HaveLen(1), "DELs of the delegate")
}

func expectSucceeded(run *ShimRun) {
	ginkgo.GinkgoHelper()
	Expect(run.ExitCode).To(BeZero(), "the shim printed %s %s", run.Stdout, run.Stderr)
}

// answerAll is a daemon to which everything succeeds.
func answerAll(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var request api.Request
	if json.NewDecoder(r.Body).Decode(&request) == nil && request.Env["CNI_COMMAND"] == "ADD" {
		_ = json.NewEncoder(w).Encode(api.Response{Result: &types100.Result{
			CNIVersion: "1.0.0", Interfaces: []*types100.Interface{{Name: request.Env["CNI_IFNAME"], Sandbox: request.Env["CNI_NETNS"]}},
		}})
	}
}

// requestsOf counts a command's requests on /cni.
func requestsOf(stub *Stub, command string) int {
	n := 0
	for _, r := range stub.RequestsTo(api.MultusCNIAPIEndpoint) {
		if r.Request != nil && r.Request.Env["CNI_COMMAND"] == command {
			n++
		}
	}
	return n
}

// probesOf counts the checks of readiness.
func probesOf(stub *Stub) int {
	return len(stub.RequestsTo(api.MultusHealthAPIEndpoint)) + len(stub.RequestsTo(api.MultusReadyAPIEndpoint))
}
