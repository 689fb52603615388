// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api/quick"
)

const (
	// requestTimeout bounds one request from dialling to the last byte of the answer. It lies above the four minutes
	// that a kubelet gives a sandbox, so that the runtime's own limit is the one that is felt.
	requestTimeout = 5 * time.Minute
	// maxAnswer bounds what is read of an answer, header included: a result is a few kilobytes, and the shim of every
	// pod lives in the memory of the container runtime's service.
	maxAnswer = 16 << 20
	// maxExcerpt bounds how much of an answer that is not a CNI error is quoted, in bytes.
	maxExcerpt = 256
)

// DoCNI posts req as JSON to url over the unix socket at socketPath (see GetAPIEndpoint and SocketPath) and returns
// the body of a 200 answer. A nil req is posted as null, which is how the readiness endpoints are asked.
//
// It sends once and never again: a request that the daemon may have begun is not this function's to repeat. The
// connection is used for this request only. The whole exchange is limited to five minutes.
//
// A non-200 answer that carries a CNI error is returned as that *types.Error, unchanged (EP-05, EP-10). Any other
// failure is an error that names the socket.
func DoCNI(url string, req interface{}, socketPath string) ([]byte, error) {
	a, err := do(patient(requestTimeout), message{url: url, req: req, accept: jsonType}, socketPath)
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// message is what is posted.
type message struct {
	url string
	// req is sent as JSON.
	req any
	// accept are the media types of an answer that is understood.
	accept string
	// begun is the connection over which it has been posted, nil when it has not.
	begun *quick.Begun
}

// do is DoCNI with another patience, and for other kinds of answers.
func do(p patience, m message, socket string) (*answer, error) {
	a, err := post(p, m, socket)
	if err == nil && a.status != statusOK {
		err = a.failure(socket)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// answer is what came back, whatever its status.
type answer struct {
	status int
	// mediaType is the answer's Content-Type.
	mediaType string
	body      []byte
}

// failure is the error that a non-200 answer stands for.
func (a *answer) failure(socket string) error {
	cniError := &types.Error{}
	if json.Unmarshal(a.body, cniError) == nil && (cniError.Code != 0 || cniError.Msg != "") {
		return cniError
	}
	excerpt, more := a.body, ""
	if len(excerpt) > maxExcerpt {
		excerpt, more = excerpt[:maxExcerpt], " …"
	}
	return fmt.Errorf("the daemon at %s answered with status %d and no CNI error: %q%s", socket, a.status, excerpt, more)
}

// noAnswer says that a request got no complete HTTP answer. The shim tells by it whether asking again, or recording
// the request, is called for.
type noAnswer struct {
	socket string
	sent   bool // something may have reached the daemon
	err    error
}

func (e *noAnswer) Error() string {
	if !e.sent {
		return fmt.Sprintf("cannot connect to the daemon's socket %s: %v", e.socket, e.err)
	}
	return fmt.Sprintf("no answer from the daemon at %s: %v", e.socket, e.err)
}

func (e *noAnswer) Unwrap() error { return e.err }

// nobodyListens tells whether err means that there was no daemon to talk to, so that nothing was sent and the same
// request may be sent later. EAGAIN is a listener whose backlog is full.
func nobodyListens(err error) bool {
	var n *noAnswer
	return errors.As(err, &n) && !n.sent && (errors.Is(n.err, syscall.ECONNREFUSED) ||
		errors.Is(n.err, syscall.ENOENT) || errors.Is(n.err, syscall.EAGAIN))
}

// post sends one request on a connection of its own and reads the answer: there is nothing to pool, redirect or retry.
func post(p patience, m message, socket string) (*answer, error) {
	conn, request, err := begin(p, m, socket)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	a, err := exchange(conn, request)
	if err != nil {
		return nil, &noAnswer{socket: socket, sent: true, err: err}
	}
	return a, nil
}

// begin returns a connection to the socket and what is to be written to it.
func begin(p patience, m message, socket string) (*socketConn, []byte, error) {
	if b := m.begun; b != nil {
		return &socketConn{fd: b.Conn, patience: p, received: b.Answer, ended: b.Err}, b.Unsent, nil
	}
	body, err := json.Marshal(m.req)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the request to %s: %w", m.url, err)
	}
	request, err := wireRequest(&m, body)
	if err != nil {
		return nil, nil, err
	}
	conn, err := dialSocket(socket, p)
	if err != nil {
		return nil, nil, &noAnswer{socket: socket, err: err}
	}
	return conn, request, nil
}

// explain says why an answer could not be read. The end of file explains nothing by itself: it may be the limit, the
// peer's death, or the echo of a write that failed.
func explain(err, writeErr error, limited *io.LimitedReader) error {
	switch {
	case limited.N <= 0:
		return fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
	case writeErr != nil:
		return fmt.Errorf("the request could not be sent: %w", writeErr)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("it closed the connection before it had answered: %w", err)
	}
	return err
}
