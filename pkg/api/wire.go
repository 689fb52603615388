// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// The statuses that are told apart (RFC 9110, section 15).
const (
	statusOK       = 200
	statusNotFound = 404
)

// wireRequest is a POST as it goes over the socket (RFC 9112). HTTP is written and read here and not by net/http,
// whose initialisation, with TLS, takes a third of the time that a shim runs: it is started for every command of every
// sandbox (SHIM-13).
func wireRequest(m *message, body []byte) ([]byte, error) {
	u, err := url.Parse(m.url)
	if err == nil && (u.Scheme != "http" || u.Host == "") {
		err = errors.New("want http://host/path")
	}
	if err != nil {
		return nil, fmt.Errorf("the daemon's address %q: %w", m.url, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: thicket-shim\r\nAccept: %s\r\nContent-Length: %d\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
		u.RequestURI(), u.Host, m.accept, len(body))
	b.Write(body)
	return b.Bytes(), nil
}

// exchange writes a request and reads the answer to it.
func exchange(conn io.ReadWriter, request []byte) (*answer, error) {
	// A daemon may refuse a request before it has read all of it (EP-09), so a failed write is not the last word.
	_, writeErr := conn.Write(request)
	limited := &io.LimitedReader{R: conn, N: maxAnswer}
	a, err := readAnswer(textproto.NewReader(bufio.NewReader(limited)))
	if err != nil || limited.N <= 0 {
		return nil, explain(err, writeErr, limited)
	}
	return a, nil
}

// readAnswer reads a response, after informational ones (RFC 9112, section 4).
func readAnswer(in *textproto.Reader) (*answer, error) {
	for {
		line, err := in.ReadLine()
		if err != nil {
			return nil, err
		}
		protocol, status, err := parseStatus(line)
		if err != nil {
			return nil, err
		}
		header, err := in.ReadMIMEHeader()
		if err != nil {
			return nil, unfinished(err)
		}
		if status < statusOK {
			continue // informational; the answer proper follows
		}
		body, err := readBody(in, protocol, header)
		if err != nil {
			return nil, unfinished(err)
		}
		return &answer{status: status, mediaType: header.Get("Content-Type"), body: body}, nil
	}
}

// parseStatus reads a status line such as "HTTP/1.1 200 OK": the protocol and the status.
func parseStatus(line string) (string, int, error) {
	protocol, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if !strings.HasPrefix(protocol, "HTTP/1.") || err != nil || len(code) != 3 || status < 100 {
		return "", 0, fmt.Errorf("it does not speak HTTP/1.1; its answer begins with %.40q", line)
	}
	return protocol, status, nil
}

// readBody reads a body by its length: that of its chunks, of the header, or up to the connection's end (RFC 9112,
// section 6.3). HTTP/1.0 has no transfer codings, so an answer in it that names one is framed wrongly (section 6.1).
func readBody(in *textproto.Reader, protocol string, header textproto.MIMEHeader) ([]byte, error) {
	if coding := header.Get("Transfer-Encoding"); coding != "" {
		if protocol == "HTTP/1.0" {
			return nil, fmt.Errorf("its answer is HTTP/1.0 and has the Transfer-Encoding %q", coding)
		}
		if !strings.EqualFold(coding, "chunked") {
			return nil, fmt.Errorf("its answer has an unknown Transfer-Encoding %q", coding)
		}
		return readChunks(in)
	}
	if text := header.Get("Content-Length"); text != "" {
		length, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return nil, fmt.Errorf("its answer has an unusable Content-Length %q", text)
		}
		if length > maxAnswer {
			return nil, fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
		}
		body := make([]byte, length)
		_, err = io.ReadFull(in.R, body)
		return body, err
	}
	return io.ReadAll(in.R)
}

// readChunks reads a chunked body (RFC 9112, section 7.1). Extensions and trailers are of no interest.
func readChunks(in *textproto.Reader) ([]byte, error) {
	var body []byte
	for {
		line, err := in.ReadLine()
		if err != nil {
			return nil, err
		}
		text, _, _ := strings.Cut(line, ";")
		length, err := strconv.ParseUint(strings.TrimSpace(text), 16, 63)
		if err != nil {
			return nil, fmt.Errorf("its answer has an unusable chunk length %.40q", line)
		}
		if length == 0 {
			_, err = in.ReadMIMEHeader()
			return body, err
		}
		if length > maxAnswer {
			return nil, fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
		}
		start := len(body)
		body = append(body, make([]byte, length+2)...)
		if _, err := io.ReadFull(in.R, body[start:]); err != nil {
			return nil, err
		}
		if !bytes.HasSuffix(body, []byte("\r\n")) {
			return nil, errors.New("its answer has a chunk of another length than announced")
		}
		body = body[:len(body)-2]
	}
}

// unfinished turns the end of the connection in the middle of an answer into its own error.
func unfinished(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
