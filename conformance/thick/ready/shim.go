// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// delLimit is how long a DEL may take without one.
const delLimit = 2 * time.Second

// readyShimWaits is READY-09, judged by what the shim does to a daemon of the
// suite's own, and once through the whole chain.
func readyShimWaits(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.AllowLeftovers("DELs without a daemon are recorded for the next one, which this case does not start for each")
	readyDelNeverWaits(ctx, e)
	readyShimsAwaitStub(ctx, e)
	readyOneRequestEach(ctx, e)
	readyShimsAwaitDaemon(ctx, e)
}

// readyDelNeverWaits: without run directory, without socket, refused, and with
// a daemon that hangs up, which counts how often it is asked.
func readyDelNeverWaits(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	del := func(why string) {
		ginkgo.GinkgoHelper()
		ctx, cancel := context.WithTimeout(ctx, suite.Patience(5*delLimit))
		defer cancel()
		run := e.Shim(ctx, "DEL", e.Sandbox())
		Expect(run.Duration).To(BeNumerically("<", suite.Patience(delLimit)), "DEL waits although %s", why)
		Expect(run.ExitCode == 0 || run.Error() != nil).To(BeTrue(), "%s: exit status %d with %q %q", why, run.ExitCode, run.Stdout, run.Stderr)
	}
	del("there is no run directory")
	Expect(os.Mkdir(e.RunDir, 0o700)).To(Succeed())
	del("there is no socket")
	expect.StaleSocket(e.Socket())
	del("the connection is refused")
	Expect(os.Remove(e.Socket())).To(Succeed())
	var connections atomic.Int32
	l := misbehave(e, e.RunDir, func(c net.Conn) {
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
func readyShimsAwaitStub(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	for _, left := range []func(){func() {}, func() { expect.StaleSocket(e.Socket()) }} {
		left()
		s := e.Sandbox()
		add, check := e.StartShim(ctx, "ADD", s), e.StartShim(ctx, "CHECK", s)
		expect.ShimsWaiting(add, check)
		Expect(os.RemoveAll(e.Socket())).To(Succeed())
		stub := e.Stub(http.HandlerFunc(expect.AnswerAll))
		Expect(add.Wait(ctx).Result100().CNIVersion).To(Equal(e.CNIVersion), "the version of the result")
		expect.Succeeded(check.Wait(ctx))
		Expect(expect.RequestsOf(stub, "ADD")).To(Equal(1), "requests of one ADD on /cni")
		Expect(expect.RequestsOf(stub, "CHECK")).To(Equal(1), "requests of one CHECK on /cni")
		stub.Close()
	}
}

// readyOneRequestEach: with a daemon there is one request of each command, and
// of DEL at most one check.
func readyOneRequestEach(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	stub := e.Stub(http.HandlerFunc(expect.AnswerAll))
	defer stub.Close()
	s := e.Sandbox()
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		before := probesOf(stub)
		expect.Succeeded(e.Shim(ctx, command, s))
		Expect(expect.RequestsOf(stub, command)).To(Equal(1), "requests of one %s on /cni", command)
		if command == "DEL" {
			Expect(probesOf(stub)-before).To(BeNumerically("<=", 1), "checks of one DEL")
		}
	}
	Expect(stub.RequestsTo(api.MultusCNIAPIEndpoint)).To(HaveLen(3), "requests of the shim to the daemon")
}

// readyShimsAwaitDaemon: the same with the target's own daemon and a delegate.
func readyShimsAwaitDaemon(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	add := e.StartShim(ctx, "ADD", s)
	expect.ShimsWaiting(add)
	e.Start(ctx)
	Expect(add.Wait(ctx).Result100().Interfaces).NotTo(BeNil(), "interfaces in the result")
	Expect(e.CallsFor("ADD", s)).To(HaveLen(1), "ADDs of the delegate")
	expect.Succeeded(e.Shim(ctx, "CHECK", s))
	expect.Succeeded(e.Shim(ctx, "DEL", s))
	Expect(e.CallsFor("DEL", s)).To(HaveLen(1), "DELs of the delegate")
}

// probesOf counts the checks of readiness.
func probesOf(stub *thick.Stub) int {
	return len(stub.RequestsTo(api.MultusHealthAPIEndpoint)) + len(stub.RequestsTo(api.MultusReadyAPIEndpoint))
}
