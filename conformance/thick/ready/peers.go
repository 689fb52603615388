// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/pkg/api"
)

// Peers that the ready cases put at the other end of a socket, and the client
// functions of the API put to work on them.

// listenIn listens on the socket of a run directory, which it makes. The case
// closes it at its end at the latest; only the case removes the socket file.
func listenIn(e *thick.Env, runDir string) *net.UnixListener {
	ginkgo.GinkgoHelper()
	Expect(os.MkdirAll(runDir, 0o700)).To(Succeed())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: api.SocketPath(runDir), Net: "unix"})
	Expect(err).NotTo(HaveOccurred())
	l.SetUnlinkOnClose(false)
	e.AtEnd(func() { _ = l.Close() })
	return l
}

// prober is a daemon of which only the readiness can be asked.
type prober struct {
	mu     sync.Mutex
	status int
	asked  int
}

// answerProbes puts a prober on the socket of a run directory: it answers
// everything with its status.
func answerProbes(e *thick.Env, runDir string, status int) *prober {
	ginkgo.GinkgoHelper()
	p := &prober{status: status}
	l := listenIn(e, runDir)
	server := &http.Server{Handler: p}
	go func() { _ = server.Serve(l) }()
	e.AtEnd(func() { _ = server.Close() })
	return p
}

// ServeHTTP implements http.Handler.
func (p *prober) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	w.WriteHeader(p.status)
}

func (p *prober) set(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *prober) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// misbehave accepts on the socket of a run directory and does f to every
// connection, which stays open until the case ends or f closes it.
func misbehave(e *thick.Env, runDir string, f func(net.Conn)) *net.UnixListener {
	ginkgo.GinkgoHelper()
	l := listenIn(e, runDir)
	var mu sync.Mutex
	var conns []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			go f(c)
		}
	}()
	e.AtEnd(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return l
}

// silent reads what comes and says nothing.
func silent(c net.Conn) {
	buffer := make([]byte, 4096)
	for {
		if _, err := c.Read(buffer); err != nil {
			return
		}
	}
}

// halfAnswer begins an answer and does not end it.
func halfAnswer(c net.Conn) {
	_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"))
	silent(c)
}

// endlessAnswer keeps the connection alive with a header that never ends, so
// that a limit on each read alone does not help.
func endlessAnswer(c net.Conn) {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	answer := []byte("HTTP/1.1 200 OK\r\nX-Drip: ")
	for {
		if _, err := c.Write(answer); err != nil {
			return
		}
		answer = []byte("x")
		<-pace.C
	}
}

// waited is how a call of CheckAPIReadyNow or WaitUntilAPIReady ended.
type waited struct {
	err  error
	took time.Duration
	at   time.Time
}

// beside calls f beside the case.
func beside(f func(string) error, runDir string) <-chan waited {
	out := make(chan waited, 1)
	start := time.Now()
	go func() {
		err := f(runDir)
		out <- waited{err, time.Since(start), time.Now()}
	}()
	return out
}

// waitUntilReady calls WaitUntilAPIReady beside the case.
func waitUntilReady(e *thick.Env, runDir string) <-chan waited {
	return beside(e.Client().WaitUntilAPIReady, runDir)
}

// expectStillWaiting asserts that a call of WaitUntilAPIReady does not return
// during some poll periods.
func expectStillWaiting(w <-chan waited, why string) {
	ginkgo.GinkgoHelper()
	Consistently(w).WithTimeout(3*api.APIReadyPollDuration).ShouldNot(Receive(), "WaitUntilAPIReady returned although %s", why)
}
