// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// StubRequest is a request that a Stub got.
type StubRequest struct {
	Method, Path string
	Header       http.Header
	Body         []byte
	// Request is the body decoded, nil when it is not an api.Request.
	Request *api.Request
}

// Stub is a daemon of the suite's own, to judge a shim alone.
type Stub struct {
	server *http.Server
	socket string
	mu     sync.Mutex
	got    []*StubRequest
	conns  int
}

// Stub listens on the case's socket and has the handler answer; it answers the
// probes /healthz and /readyz itself, with 200.
func (e *Env) Stub(handler http.Handler) *Stub {
	ginkgo.GinkgoHelper()
	Expect(os.MkdirAll(e.RunDir, 0o700)).To(Succeed())
	l, err := net.Listen("unix", e.Socket()) //nolint:noctx // the case closes it
	Expect(err).NotTo(HaveOccurred())
	s := &Stub{socket: e.Socket()}
	s.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			s.note(r, body)
			if r.URL.Path == api.MultusHealthAPIEndpoint || r.URL.Path == api.MultusReadyAPIEndpoint {
				w.WriteHeader(http.StatusOK)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			handler.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.conns++
			}
		},
	}
	go func() { _ = s.server.Serve(l) }()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stubs = append(e.stubs, s)
	return s
}

func (s *Stub) note(r *http.Request, body []byte) {
	got := &StubRequest{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body}
	var req api.Request
	if json.Unmarshal(body, &req) == nil && req.Env != nil {
		got.Request = &req
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, got)
}

// Requests lists the requests so far, probes included.
func (s *Stub) Requests() []*StubRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*StubRequest(nil), s.got...)
}

// RequestsTo lists the requests to one endpoint.
func (s *Stub) RequestsTo(path string) []*StubRequest {
	var some []*StubRequest
	for _, r := range s.Requests() {
		if r.Path == path {
			some = append(some, r)
		}
	}
	return some
}

// Connections is how many connections have been made.
func (s *Stub) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// Close ends the stub and removes its socket.
func (s *Stub) Close() {
	_ = s.server.Close()
	_ = os.Remove(s.socket)
}
