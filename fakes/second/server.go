// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// server is the socket's side of the daemon.
type server struct {
	http     http.Server
	engine   *engine
	limit    int64
	draining atomic.Bool
	inFlight sync.WaitGroup
	mu       sync.Mutex
}

type peerKey struct{}

func newServer(e *engine, limit int64) *server {
	s := &server{engine: e, limit: limit}
	s.http = http.Server{
		Handler: http.HandlerFunc(s.handle), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, uidOf(c))
		},
	}
	return s
}

// uidOf is the peer's user, by the kernel's word; -1 when it gives none.
func uidOf(c net.Conn) int {
	uid := -1
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return uid
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	return uid
}

// drain lets what has begun finish, and serves DELs until then (READY-08).
func (s *server) drain() {
	s.mu.Lock()
	s.draining.Store(true)
	s.mu.Unlock()
	s.inFlight.Wait()
}

// endWithin is how long the last answers may take to be written.
const endWithin = 2 * time.Second

// end stops the server when the answers of requests that have been handled are
// written, which is after their handlers have returned: Close alone has cut one
// off under load (READY-07).
func (s *server) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close() // somebody holds a connection in the middle of a request
	}
	return nil
}

var methods = map[string][]string{
	"/cni": {http.MethodPost}, "/delegate": {http.MethodPost},
	"/healthz": {http.MethodGet, http.MethodPost}, "/readyz": {http.MethodGet, http.MethodPost},
}

func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	if uid := r.Context().Value(peerKey{}); uid != 0 && !broken("any-peer") {
		answer(w, http.StatusForbidden, types.NewError(types.ErrInternal, "only root is served", ""))
		return
	}
	allowed, known := methods[r.URL.Path]
	if !known {
		answer(w, http.StatusNotFound, types.NewError(types.ErrInternal, "no such endpoint", ""))
		return
	}
	suits := false
	for _, m := range allowed {
		w.Header().Add("Allow", m)
		suits = suits || m == r.Method
	}
	if !suits && !broken("any-method") {
		answer(w, http.StatusMethodNotAllowed, types.NewError(types.ErrInternal, "method not allowed", ""))
		return
	}
	w.Header().Del("Allow")
	switch r.URL.Path {
	case "/healthz":
		answer(w, http.StatusOK, nil)
	case "/readyz":
		err := s.engine.ready()
		if s.draining.Load() && !broken("ready-while-draining") {
			err = refuse(types.ErrTryAgainLater, "the daemon is about to end")
		}
		if err != nil && !broken("always-ready") {
			answer(w, http.StatusServiceUnavailable, cniError(err))
			return
		}
		answer(w, http.StatusOK, nil)
	default:
		s.serve(w, r)
	}
}

// begin counts a request in, unless the daemon drains and it is no DEL.
func (s *server) begin(command string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() && command != "DEL" {
		return false
	}
	s.inFlight.Add(1)
	return true
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	limit := s.limit
	if broken("takes-any-size") {
		limit = 1 << 40
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		answer(w, http.StatusRequestEntityTooLarge, types.NewError(types.ErrDecodingFailure, "the request is larger than the limit", ""))
		return
	}
	var req request
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if broken("refuses-unknown-fields") {
		strict := json.NewDecoder(bytes.NewReader(body))
		strict.DisallowUnknownFields()
		err = strict.Decode(&req)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, types.NewError(types.ErrDecodingFailure, "the body is not a request in JSON", ""))
		return
	}
	if err := req.validate(); err != nil && !broken("no-validation") {
		answer(w, httpStatus(err), cniError(err))
		return
	}
	command := req.Env["CNI_COMMAND"]
	if !s.begin(command) {
		answer(w, http.StatusServiceUnavailable, types.NewError(types.ErrTryAgainLater, "the daemon is about to end", ""))
		return
	}
	defer s.inFlight.Done()
	ctx := r.Context()
	if command != "ADD" || broken("ignores-disconnect") {
		// Only an ADD is taken back when its client goes away.
		ctx = context.WithoutCancel(ctx)
	}
	result, err := s.carryOut(ctx, r.URL.Path, &req)
	if err != nil {
		slog.Warn("failed", "command", command, "path", r.URL.Path, "container", req.Env["CNI_CONTAINERID"], "interface", req.Env["CNI_IFNAME"], "error", err)
		answer(w, httpStatus(err), cniError(err))
		return
	}
	slog.Info("done", "command", command, "path", r.URL.Path, "container", req.Env["CNI_CONTAINERID"], "interface", req.Env["CNI_IFNAME"])
	answer(w, http.StatusOK, result)
}

// carryOut survives a panic of one request (EP-13).
func (s *server) carryOut(ctx context.Context, path string, req *request) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("panic", "value", p, "stack", string(debug.Stack()))
			err = errors.New("the daemon failed at this request; its log says more")
		}
	}()
	r, err := s.engine.carryOut(ctx, path == "/delegate", req)
	if err != nil || r == nil {
		return nil, err
	}
	return &response{r}, nil
}

// answer writes in chunks: how long it is nobody is told beforehand.
func answer(w http.ResponseWriter, status int, value any) {
	if value == nil {
		value = struct{}{}
	}
	data, err := json.Marshal(value)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"code":999,"msg":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	if broken("errors-are-200") {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	for piece := range chunks(append(data, '\n'), 512) {
		if _, err := io.Copy(w, bytes.NewReader(piece)); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

func chunks(data []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			n := min(size, len(data))
			if !yield(data[:n]) {
				return
			}
			data = data[n:]
		}
	}
}
