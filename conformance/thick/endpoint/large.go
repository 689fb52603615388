// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

const (
	// defaultRequestLimit is the limit of EP-09.
	defaultRequestLimit = 4 << 20
	// largeBodyBound is how much a daemon may grow while 256 MiB are thrown at it.
	largeBodyBound = 32 << 20
	// uploadTimeout bounds one of the large requests.
	uploadTimeout = 20 * time.Second
)

// endpointTooLarge is EP-09. The bodies are requests that a daemon without a
// limit could serve: the padding comes first, in a field of its own.
func endpointTooLarge(ctx context.Context, e *thick.Env) {
	d := e.Start(ctx)
	s := e.Sandbox()
	e.NoteAddOf(s.ID)
	request := func(command string) []byte { return append([]byte(`",`), node.MustJSON(e.Request(command, s))[1:]...) }
	ginkgo.By("a large request within the limit is served")
	e.MustOK(upload(ctx, e, request("ADD"), defaultRequestLimit-(64<<10), announced))
	e.MustOK(upload(ctx, e, request("DEL"), defaultRequestLimit-(64<<10), chunked))
	e.ResetCalls()
	before := expect.PeakMemory(e, d)

	for _, row := range []struct {
		what  string
		size  int64
		frame framing
	}{
		{"a byte over the limit", defaultRequestLimit + 1, announced},
		{"a byte over the limit in chunks", defaultRequestLimit + 1, chunked},
		{"64 MiB", 64 << 20, announced},
		{"256 MiB in chunks of unknown number", 256 << 20, chunked},
		{"16 MiB of an announced terabyte", 16 << 20, exaggerated},
	} {
		ginkgo.By(row.what)
		a := upload(ctx, e, request("ADD"), row.size, row.frame)
		Expect(a.Status).To(Equal(http.StatusRequestEntityTooLarge), "%s was answered with %s", row.what, a)
		Expect(expect.CNIError(a).Code).NotTo(BeZero(), "the code of the error")
	}
	Expect(expect.PeakMemory(e, d)-before).To(BeNumerically("<", largeBodyBound), "bytes by which the daemon's peak memory grew")
	Expect(expect.Trace(expect.AttachmentCalls(e))).To(BeEmpty(), "delegates that ran")
	expect.NothingLeft(e, s)
	e.MustOK(e.Add(ctx, s))
}

// framing is how a body's length is told.
type framing int

const (
	announced framing = iota
	chunked
	// exaggerated announces more than ever comes.
	exaggerated
)

// upload posts {"pad":"AAA…" followed by rest, size bytes in all, and reads
// the answer while it still writes: a daemon may answer and hang up early.
func upload(ctx context.Context, e *thick.Env, rest []byte, size int64, frame framing) *thick.Answer {
	ginkgo.GinkgoHelper()
	conn, err := e.Dial(ctx)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = conn.Close() }()
	Expect(conn.SetDeadline(time.Now().Add(suite.Patience(uploadTimeout)))).To(Succeed())
	start := []byte(`{"pad":"`)
	body := io.MultiReader(bytes.NewReader(start), io.LimitReader(letters{}, size-int64(len(start)+len(rest))), bytes.NewReader(rest))
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = writeUpload(conn, body, size, frame) // the answer tells, not the writing
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	Expect(err).NotTo(HaveOccurred(), "no answer to a body of %d bytes", size)
	answer, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	_ = conn.Close()
	<-written
	return &thick.Answer{Status: response.StatusCode, Header: response.Header, Body: answer}
}

func writeUpload(conn io.Writer, body io.Reader, size int64, frame framing) error {
	length := fmt.Sprintf("Content-Length: %d", size)
	switch frame {
	case chunked:
		length = "Transfer-Encoding: chunked"
	case exaggerated:
		length = fmt.Sprintf("Content-Length: %d", int64(1)<<40)
	}
	if _, err := fmt.Fprintf(conn, "POST /cni HTTP/1.1\r\nHost: dummy\r\nContent-Type: application/json\r\n%s\r\n\r\n", length); err != nil {
		return err
	}
	if frame != chunked {
		_, err := io.Copy(conn, body)
		return err
	}
	piece := make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(body, piece)
		if n > 0 {
			if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", n, piece[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			_, err = io.WriteString(conn, "0\r\n\r\n")
			return err
		}
	}
}

// letters is an endless text.
type letters struct{}

// Read implements io.Reader.
func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}
