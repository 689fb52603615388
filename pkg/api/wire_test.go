// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
)

// The library's reader is the judge of what is a request and an answer.
func TestWireRequestIsHTTP(t *testing.T) {
	data, err := wireRequest(&message{url: "http://dummy/cni?x=1", accept: "a/b, c/d"}, []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != `{"a":1}` || r.Method != http.MethodPost || r.RequestURI != "/cni?x=1" || r.Host != "dummy" ||
		r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") != "a/b, c/d" || !r.Close {
		t.Errorf("%v, %s, %+v", err, body, r)
	}
	for _, address := range []string{"/cni", "https://dummy/cni", "http:///cni", "http://dummy/%zz", "http://du mmy/"} {
		if _, err := wireRequest(&message{url: address}, nil); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// answers are what a server may send, with the body that is meant; "" for none
// that can be used.
var answers = map[string]string{
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc":                                                  "abc",
	"HTTP/1.0 200 OK\r\n\r\nabc":                                                                       "abc",
	"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc":                                                  "abc",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc":                     "abc",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n":          "abc",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n": "abc",
	"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc":                                                  "",
	"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc":                                                 "",
	"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc":                                        "",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc":                                            "",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc\r\n0\r\n\r\n":                       "",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n":                                "",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n":                      "",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":                       "",
	"HTTP/1.1 200 OK\r\nContent-Length":                                                                "",
	"HTTP/2.0 200 OK\r\n\r\nabc":                                                                       "",
	"HTTP/1.1 20 OK\r\n\r\nabc":                                                                        "",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nabc\r\n0\r\n\r\n":         "",
}

func TestReadAnswer(t *testing.T) {
	for text, want := range answers {
		a, err := readAnswer(textproto.NewReader(bufio.NewReader(strings.NewReader(text))))
		switch {
		case want == "" && err == nil:
			t.Errorf("%q was accepted: %s", text, a.body)
		case want != "" && (err != nil || string(a.body) != want || a.status != statusOK):
			t.Errorf("%q: %v", text, err)
		}
	}
}
