// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/pkg/api"
)

// Answer is a daemon's answer as it came over the socket.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// OK says whether the request succeeded.
func (a *Answer) OK() bool { return a.Status == http.StatusOK }

// String shows an answer in a failure's message.
func (a *Answer) String() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }

// Error returns the CNI error in the body, nil when there is none.
func (a *Answer) Error() *types.Error {
	if a.OK() {
		return nil
	}
	return cniErrorIn(a.Body)
}

// cniErrorIn reads a CNI error; one without a code or a msg is none.
func cniErrorIn(body []byte) *types.Error {
	var e types.Error
	if err := json.Unmarshal(body, &e); err == nil && e.Code != 0 && e.Msg != "" {
		return &e
	}
	return nil
}

// Result returns the result of an ADD; the case fails when there is none.
func (a *Answer) Result() *types100.Result {
	ginkgo.GinkgoHelper()
	Expect(a.OK()).To(BeTrue(), "ADD was answered with %s", a)
	var r api.Response
	Expect(json.Unmarshal(a.Body, &r)).To(Succeed(), "the body of %s", a)
	Expect(r.Result).NotTo(BeNil(), "the answer %s has no Result", a)
	return r.Result
}

// Socket is the path of the daemon's socket.
func (e *Env) Socket() string { return filepath.Join(e.RunDir, "multus.sock") }

// Do sends one request over a unix socket, on a connection of its own.
func Do(ctx context.Context, socket, method, path string, header http.Header, body io.Reader) (*Answer, error) {
	return roundTrip(ctx, func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}, method, path, header, body)
}

func roundTrip(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error),
	method, path string, header http.Header, body io.Reader) (*Answer, error) {
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, "http://dummy"+path, body)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: data}, err
}

// Do sends any request to the daemon.
func (e *Env) Do(ctx context.Context, method, path string, header http.Header, body io.Reader) (*Answer, error) {
	ended := e.Step("%s %s", method, path)
	a, err := Do(ctx, e.Socket(), method, path, header, body)
	answered(ctx, ended, a, err)
	return a, err
}

// Dial opens a connection to the daemon's socket.
func (e *Env) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", e.Socket())
}

// Request is the request that the shim would post for a command.
func (e *Env) Request(command string, s *node.Sandbox) *api.Request {
	ginkgo.GinkgoHelper()
	config, err := e.Target.ShimConfig(e.Paths())
	Expect(err).NotTo(HaveOccurred())
	if e.NodeConfig != nil {
		config = e.NodeConfig
	}
	return &api.Request{Env: s.Env(command), Config: config}
}

// TryPost sends a request to an endpoint of the daemon. The error says that no
// answer came.
func (e *Env) TryPost(ctx context.Context, endpoint string, r *api.Request) (*Answer, error) {
	e.noteAdd(r)
	e.NotePlugged(endpoint, r)
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	ended := e.Step("%s on %s%s", r.Env["CNI_COMMAND"], endpoint, ofSandbox(r.Env))
	a, err := Do(ctx, e.Socket(), http.MethodPost, endpoint, http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(data))
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the connection ended without an answer (%w)", io.EOF)
	}
	answered(ctx, ended, a, err)
	return a, err
}

// ofSandbox says for which sandbox and interface a command is.
func ofSandbox(env map[string]string) string {
	id := env["CNI_CONTAINERID"]
	if id == "" {
		return ""
	}
	return fmt.Sprintf(" for %s of sandbox %s", env["CNI_IFNAME"], id[:min(8, len(id))])
}

// answered notes what came of a request. One that was still waiting when the
// case's time was over has no end.
func answered(ctx context.Context, ended func(string), a *Answer, err error) {
	switch cause := context.Cause(ctx); {
	case cause != nil && strings.Contains(cause.Error(), "timeout occurred"): // Ginkgo's end of the case
	case err != nil && ctx.Err() != nil:
		ended("given up by the client")
	case err != nil:
		ended("no answer: " + err.Error())
	default:
		ended(fmt.Sprintf("%d %s", a.Status, a.Body[:min(len(a.Body), 400)]))
	}
}

// noteAdd remembers which sandboxes need a DEL in the end.
func (e *Env) noteAdd(r *api.Request) {
	if r.Env["CNI_COMMAND"] == "ADD" {
		e.NoteAddOf(r.Env["CNI_CONTAINERID"])
	}
}

// NotePlugged remembers which hot-plugged attachments need a DEL of their own
// in the end.
func (e *Env) NotePlugged(endpoint string, r *api.Request) {
	if endpoint != api.MultusDelegateAPIEndpoint || r.Env["CNI_COMMAND"] != "ADD" {
		return
	}
	undo := *r
	undo.Env = maps.Clone(r.Env)
	undo.Env["CNI_COMMAND"] = "DEL"
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plugged = append(e.plugged, &undo)
}

// NoteAddOf notes that an ADD of the sandbox with that id was asked for, so that
// the case ends with its DEL.
func (e *Env) NoteAddOf(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.Sandboxes() {
		if s.ID == id {
			s.Added = true
		}
	}
}

// Post sends a request to an endpoint of the daemon; the case fails when no
// answer comes.
func (e *Env) Post(ctx context.Context, endpoint string, r *api.Request) *Answer {
	ginkgo.GinkgoHelper()
	a, err := e.TryPost(ctx, endpoint, r)
	Expect(err).NotTo(HaveOccurred(), "%s on %s is not answered", r.Env["CNI_COMMAND"], endpoint)
	return a
}

// Add posts an ADD of the sandbox.
func (e *Env) Add(ctx context.Context, s *node.Sandbox) *Answer {
	ginkgo.GinkgoHelper()
	return e.Post(ctx, api.MultusCNIAPIEndpoint, e.Request("ADD", s))
}

// Del posts a DEL of the sandbox.
func (e *Env) Del(ctx context.Context, s *node.Sandbox) *Answer {
	ginkgo.GinkgoHelper()
	return e.Post(ctx, api.MultusCNIAPIEndpoint, e.Request("DEL", s))
}

// Check posts a CHECK of the sandbox.
func (e *Env) Check(ctx context.Context, s *node.Sandbox) *Answer {
	ginkgo.GinkgoHelper()
	return e.Post(ctx, api.MultusCNIAPIEndpoint, e.Request("CHECK", s))
}

// MustOK fails the case unless the answer is a success.
func (e *Env) MustOK(a *Answer) *Answer {
	ginkgo.GinkgoHelper()
	Expect(a.OK()).To(BeTrue(), "the daemon answered %s", a)
	return a
}

// Async posts a request without waiting; the answer, or the error, comes on
// the channel. Cancelling ctx takes the client away.
func (e *Env) Async(ctx context.Context, r *api.Request) <-chan Outcome {
	out := make(chan Outcome, 1)
	go func() {
		a, err := e.TryPost(ctx, api.MultusCNIAPIEndpoint, r)
		out <- Outcome{a, err}
	}()
	return out
}

// Outcome is what came of a request that was sent by Async.
type Outcome struct {
	Answer *Answer
	Err    error
}
