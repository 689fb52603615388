// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var portsCases = []thick.Case{
	{
		ID: "SEC-14", Level: spec.Must, Source: "seen: ended by an unprivileged process", Body: portsBear,
		Needs: []spec.Feature{thick.FeatureProcess, thick.FeatureMetrics}, Slow: 30 * time.Second, Timeout: 4 * time.Minute,
		Title: "Ports for probes, metrics and profiles bear 6,000 connections, clients that do not read or that drip, and bind to no other address than theirs",
	},
}

const (
	// portConnections is how many connections a client keeps open at once, and
	// portStuck how many of them are in the middle of a request or an answer.
	portConnections, portStuck = 6000, 500
	// portPatience is how long a scrape or a probe may be tried beside them, and
	// portTry how long each try may take: no row says how fast.
	portPatience, portTry = 30 * time.Second, 5 * time.Second
	// metricsAddress is where the configuration wants the metrics, and
	// otherAddress another one of the node's. Probes have the default.
	metricsAddress, otherAddress, probeAddress = "127.0.0.5", "127.0.0.6", "127.0.0.1"
)

// tcpPort is one of the daemon's, with what is asked there.
type tcpPort struct {
	number    int
	address   string
	path      string
	elsewhere []string
}

func (p *tcpPort) at(ip string) string { return net.JoinHostPort(ip, fmt.Sprint(p.number)) }

// portsBear is SEC-14. The clients are processes without any rights; what they
// must not do is end the daemon, or keep others from being answered.
func portsBear(ctx context.Context, e *thick.Env) {
	expectDescriptors(e)
	ports := []*tcpPort{{freePort(ctx), metricsAddress, "/metrics", []string{probeAddress, otherAddress, "::1"}}}
	option := thick.Ports(metricsAddress, ports[0].number, 0)
	if e.Supports(thick.FeatureProbes) {
		ports = append(ports, &tcpPort{freePort(ctx), probeAddress, "/healthz", []string{metricsAddress, otherAddress, "::1"}})
		option = thick.Ports(metricsAddress, ports[0].number, ports[1].number)
	}
	w := newLargeWorld(ctx, e, option)
	w.expectPorts(ctx, ports, "as it was started")
	expectBound(ctx, ports)
	w.expectBorne(ctx, ports, "clients that keep their connections", portConnections, keepAlive)
	w.expectBorne(ctx, ports, "clients that do not read", portStuck, unread(pathsOf(ctx, ports[0])))
	w.expectBorne(ctx, ports, "clients that drip", portStuck, drip)
	w.d.Stop(ctx)
	Expect(w.d.ExitCode()).To(BeZero(), "the daemon's exit status after SIGTERM")
}

// expectDescriptors skips the case where the clients could not be played.
func expectDescriptors(e *thick.Env) {
	ginkgo.GinkgoHelper()
	var limit syscall.Rlimit
	Expect(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)).To(Succeed())
	if limit.Cur < 2*portConnections {
		e.Skipf("the suite may open %d files and needs %d; raise the limit (ulimit -Hn)", limit.Cur, 2*portConnections)
	}
}

// freePort returns a port that is free on all of the case's own addresses.
func freePort(ctx context.Context) int {
	ginkgo.GinkgoHelper()
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", ":0")
	Expect(err).NotTo(HaveOccurred())
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: suite.Patience(portTry)}).DialContext(ctx, "tcp", address)
}

// expectBound asserts that a port is open at its own address only.
func expectBound(ctx context.Context, ports []*tcpPort) {
	ginkgo.GinkgoHelper()
	for _, p := range ports {
		for _, ip := range p.elsewhere {
			conn, err := dial(ctx, p.at(ip))
			if err == nil {
				_ = conn.Close()
			}
			Expect(err).To(HaveOccurred(), "a connection to %s, where %s of %s must not be", p.at(ip), p.path, p.address)
		}
	}
}

// expectPorts asserts that whoever asks is answered, and the node's pods are served.
func (w *largeWorld) expectPorts(ctx context.Context, ports []*tcpPort, when string) {
	ginkgo.GinkgoHelper()
	for _, p := range ports {
		Eventually(func() error {
			w.expectAlive()
			return ask(ctx, p)
		}).WithContext(ctx).WithTimeout(portPatience).WithPolling(node.PollInterval).Should(Succeed(), "GET %s %s", p.path, when)
	}
	w.small(ctx, when)
	w.expectAlive()
}

// ask asks once, over a connection of its own.
func ask(ctx context.Context, p *tcpPort) error { return askFor(ctx, p, p.path) }

func askFor(ctx context.Context, p *tcpPort, path string) error {
	ctx, cancel := context.WithTimeout(ctx, suite.Patience(portTry))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.at(p.address)+path, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(req)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, response.Status)
	}
	return nil
}

// pathsOf are what a port has that is large: a profile costs more than the metrics.
func pathsOf(ctx context.Context, p *tcpPort) []string {
	const profiles = "/debug/pprof/"
	if askFor(ctx, p, profiles) == nil {
		return []string{p.path, profiles + "goroutine?debug=2", profiles + "allocs?seconds=20", profiles + "trace?seconds=20"}
	}
	return []string{p.path}
}

// misuse does with a new connection what its client does, until stop is closed.
type misuse func(conn *net.TCPConn, p *tcpPort, stop <-chan struct{})

// expectBorne opens so many connections to each port, and asserts that nobody
// else suffers while they are there, and after they went.
func (w *largeWorld) expectBorne(ctx context.Context, ports []*tcpPort, what string, count int, use misuse) {
	ginkgo.GinkgoHelper()
	for _, p := range ports {
		ginkgo.By(fmt.Sprintf("%d connections to %s: %s", count, p.path, what))
		stop := make(chan struct{})
		var conns []net.Conn
		for range count {
			conn, err := dial(ctx, p.at(p.address))
			if err != nil {
				break // refused for want of room, which is a way to bear it
			}
			conns = append(conns, conn)
			use(conn.(*net.TCPConn), p, stop)
		}
		w.expectPorts(ctx, ports, "beside "+what)
		close(stop)
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
	w.expectPorts(ctx, ports, "after "+what)
	peak, err := w.group.Peak()
	Expect(err).NotTo(HaveOccurred())
	w.e.Notef("%s: memory %.1f of %d MiB at most", what, float64(peak)/(1<<20), largeMemory>>20)
}

// keepAlive asks once, for something small, and keeps the connection.
func keepAlive(conn *net.TCPConn, _ *tcpPort, _ <-chan struct{}) {
	_, _ = io.WriteString(conn, "GET /nothing HTTP/1.1\r\nHost: node\r\n\r\n")
}

// unread asks for much in one go, and reads none of it.
func unread(paths []string) misuse {
	next := 0
	return func(conn *net.TCPConn, p *tcpPort, _ <-chan struct{}) {
		_ = conn.SetReadBuffer(1)
		path := p.path
		if p.path == paths[0] {
			path = paths[next%len(paths)]
			next++
		}
		for range 16 {
			_, _ = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: node\r\n\r\n")
		}
	}
}

// drip sends a request's header byte by byte.
func drip(conn *net.TCPConn, p *tcpPort, stop <-chan struct{}) {
	_, _ = io.WriteString(conn, "GET "+p.path+" HTTP/1.1\r\nHost: node\r\nX-Drip: ")
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if _, err := conn.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
}
