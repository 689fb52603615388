// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// socketPeerRefused is SOCK-09. The socket is opened to everybody, as an
// operator's mistake would; the peer's uid still counts, for every endpoint,
// and before anything that it sent. Its group is root's, which does not excuse it.
func socketPeerRefused(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.Start(ctx)
	Expect(os.Chmod(e.RunDir, 0o755)).To(Succeed())
	Expect(os.Chmod(e.Socket(), 0o666)).To(Succeed())
	attached, foreign := e.Sandbox(), e.Sandbox()
	e.MustOK(e.Add(ctx, attached))
	for _, uid := range []int{65534, 1} {
		expectForbidden(ctx, e, uid, http.MethodPost, api.MultusCNIAPIEndpoint, node.MustJSON(e.Request("ADD", foreign)))
		expectForbidden(ctx, e, uid, http.MethodPost, api.MultusCNIAPIEndpoint, node.MustJSON(e.Request("DEL", attached)))
		expectForbidden(ctx, e, uid, http.MethodPost, api.MultusCNIAPIEndpoint, []byte("not even JSON"))
		expectForbidden(ctx, e, uid, http.MethodGet, api.MultusHealthAPIEndpoint, nil)
		if e.Supports(thick.FeatureHotplug) {
			expectForbidden(ctx, e, uid, http.MethodPost, api.MultusDelegateAPIEndpoint, node.MustJSON(hotplugOf(e, attached)))
		}
	}
	e.MustOK(e.Check(ctx, attached))
	Expect(e.CallsOf("ADD")).To(HaveLen(1), "ADDs of delegates: root's alone")
	Expect(e.CallsOf("DEL")).To(BeEmpty(), "DELs of delegates that root did not ask for")
	Expect(e.Leftovers(foreign)).To(BeEmpty(), "what a refused ADD left")

	ginkgo.By("root is served what the other was refused")
	e.MustOK(e.Add(ctx, foreign))
	Expect(e.CallsFor("ADD", foreign)).To(HaveLen(1), "calls of delegates at ADD")
	e.MustOK(e.Del(ctx, attached))
	Expect(e.CallsFor("DEL", attached)).To(HaveLen(1), "calls of delegates at DEL")
}

func expectForbidden(ctx context.Context, e *thick.Env, uid int, method, path string, body []byte) {
	ginkgo.GinkgoHelper()
	a, err := e.DoAs(ctx, uid, method, path, bytes.NewReader(body))
	Expect(err).NotTo(HaveOccurred(), "uid %d must be answered", uid)
	Expect(a.Status).To(Equal(http.StatusForbidden), "%s %s as uid %d was answered with %s", method, path, uid, a)
}

// hotplugOf is a request to attach one more network to a sandbox.
func hotplugOf(e *thick.Env, s *node.Sandbox) *api.Request {
	ginkgo.GinkgoHelper()
	return api.CreateDelegateRequest("ADD", s.ID, s.Netns, "hot0", s.PodNamespace, s.PodName, s.PodUID, []byte(e.FakeList("hot")), nil)
}

const (
	idleConnections     = 500
	drippingConnections = 20
	// dripPause is the pause between two bytes: fast enough that a limit on
	// idleness never strikes, so slow that the header never ends in time.
	dripPause = 20 * time.Millisecond
	// floodedLimit is how long a request may take beside them.
	floodedLimit = 10 * time.Second
)

// socketFlooded is SOCK-12. A daemon may well cut off the clients that drip;
// then they come back, as those of a program gone wild do.
func socketFlooded(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.Start(ctx)
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			_ = c.Close()
		}
	}()
	for range idleConnections {
		c, err := e.Dial(ctx)
		Expect(err).NotTo(HaveOccurred(), "idle connection %d", len(idle)+1)
		idle = append(idle, c)
	}
	dripping, stop := context.WithCancel(ctx)
	var drippers, begun sync.WaitGroup
	defer drippers.Wait()
	defer stop()
	for range drippingConnections {
		begun.Add(1)
		drippers.Go(func() { drip(dripping, e, sync.OnceFunc(begun.Done)) })
	}
	begun.Wait()

	request, cancel := context.WithTimeout(ctx, suite.Patience(floodedLimit))
	defer cancel()
	s := e.Sandbox()
	e.MustOK(e.Add(request, s))
	e.MustOK(e.Check(request, s))
	e.MustOK(e.Del(request, s))
	expect.ReadyNow(ctx, api.CheckAPIReadyNow, e.RunDir, "the check of readiness, beside them")
}

// drip sends headers byte by byte, and begins anew when the daemon cuts it
// off, until ctx ends. It calls started after its first byte.
func drip(ctx context.Context, e *thick.Env, started func()) {
	pace := time.NewTicker(dripPause)
	defer pace.Stop()
	for ctx.Err() == nil {
		if conn, err := e.Dial(ctx); err == nil {
			dripHeader(ctx, conn, pace.C, started)
		}
		<-pace.C
	}
}

// dripHeader drips one header that never ends, until the connection does.
func dripHeader(ctx context.Context, conn net.Conn, pace <-chan time.Time, started func()) {
	// A write waits when nobody reads; closing wakes it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if stop() {
			_ = conn.Close()
		}
	}()
	next := []byte("POST " + api.MultusCNIAPIEndpoint + " HTTP/1.1\r\nHost: dripping\r\nX-Endless: x")
	for ctx.Err() == nil {
		if _, err := conn.Write(next[:1]); err != nil {
			return
		}
		started()
		if len(next) > 1 {
			next = next[1:]
		}
		<-pace
	}
}
