// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

func TestDoCNIPostsTheRequestOnce(t *testing.T) {
	dir := rundir(t)
	var header http.Header
	s := serve(t, dir, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		_, _ = w.Write([]byte(`{"Result":null}`))
	})
	body, err := DoCNI(GetAPIEndpoint(MultusCNIAPIEndpoint),
		&Request{Env: map[string]string{"CNI_ARGS": "A=b=<c>"}, Config: []byte("{}")}, SocketPath(dir))
	if err != nil || string(body) != `{"Result":null}` {
		t.Fatalf("got %q, %v", body, err)
	}
	want := []string{`POST /cni {"env":{"CNI_ARGS":"A=b=\u003cc\u003e"},"config":"e30="}`}
	if got := s.requests(); !reflect.DeepEqual(got, want) {
		t.Errorf("the daemon saw %q, want %q", got, want)
	}
	if header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type is %q", header.Get("Content-Type"))
	}
}

func TestDoCNIPostsNullForNil(t *testing.T) {
	dir := rundir(t)
	s := serve(t, dir, func(http.ResponseWriter, *http.Request) {})
	if _, err := DoCNI(GetAPIEndpoint(MultusHealthAPIEndpoint), nil, SocketPath(dir)); err != nil {
		t.Fatal(err)
	}
	if got := s.requests(); !reflect.DeepEqual(got, []string{"POST /healthz null"}) {
		t.Errorf("the daemon saw %q", got)
	}
}

func TestDoCNIFailures(t *testing.T) {
	for name, test := range map[string]struct {
		status   int
		body     string
		cniError *types.Error
		text     []string
	}{
		"CNI error":           {500, `{"code":100,"msg":"m","details":"d"}`, types.NewError(100, "m", "d"), nil},
		"CNI error, 503":      {503, `{"code":11,"msg":"later"}`, types.NewError(11, "later", ""), nil},
		"CNI error, code 0":   {500, `{"msg":"only text"}`, types.NewError(0, "only text", ""), nil},
		"other JSON":          {500, `{"error":"x"}`, nil, []string{"500", "multus.sock", `{\"error\"`}},
		"text":                {404, "404 page not found", nil, []string{"404", "page not found"}},
		"success but not 200": {204, "", nil, []string{"204"}},
		"long text":           {500, strings.Repeat("x", 5000), nil, []string{`xxx" …`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := rundir(t)
			serve(t, dir, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			body, err := DoCNI(GetAPIEndpoint("/cni"), nil, SocketPath(dir))
			if err == nil {
				t.Fatalf("no error but %q", body)
			}
			if test.cniError != nil && !reflect.DeepEqual(err, error(test.cniError)) {
				t.Errorf("got %#v, want %#v", err, test.cniError)
			}
			for _, text := range test.text {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
			if len(err.Error()) > 600 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestDoCNIWithoutDaemon(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, string){
		"missing": func(*testing.T, string) {},
		"refused": stale,
	} {
		t.Run(name, func(t *testing.T) {
			dir := rundir(t)
			prepare(t, dir)
			_, err := DoCNI(GetAPIEndpoint("/cni"), nil, SocketPath(dir))
			if !nobodyListens(err) {
				t.Errorf("not taken for a missing daemon: %v", err)
			}
			if err == nil || !strings.Contains(err.Error(), SocketPath(dir)) {
				t.Errorf("%v does not name the socket", err)
			}
		})
	}
}

// raw starts a peer that reads a little and then does what answer says.
func raw(t *testing.T, dir string, answer func(net.Conn)) {
	t.Helper()
	listener, err := net.Listen("unix", SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 64))
			answer(conn)
			_ = conn.Close()
		}
	}()
}

func TestDoCNIBrokenAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		text   string
	}{
		"none":      {"", "socket"},
		"cut short": {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "closed the connection"},
		"garbage":   {"what?\r\n\r\n", "does not speak HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := rundir(t)
			raw(t, dir, func(conn net.Conn) {
				// The whole request is read, so that closing sends an end of file and not a reset.
				_, _ = conn.Read(make([]byte, 1<<16))
				_, _ = conn.Write([]byte(test.answer))
			})
			_, err := DoCNI(GetAPIEndpoint("/cni"), nil, SocketPath(dir))
			var lost *noAnswer
			if !errors.As(err, &lost) || !lost.sent || nobodyListens(err) {
				t.Fatalf("got %#v, want a noAnswer that was sent", err)
			}
			if test.answer != "" && !strings.Contains(err.Error(), test.text) {
				t.Errorf("%q does not say %q", err, test.text)
			}
		})
	}
}

func TestDoCNIReadsAnAnswerToARequestThatWasNotReadToItsEnd(t *testing.T) {
	dir := rundir(t)
	raw(t, dir, func(conn net.Conn) {
		_, _ = conn.Write([]byte("HTTP/1.1 413 Too Large\r\nContent-Length: 22\r\n\r\n" + `{"code":6,"msg":"big"}`))
	})
	_, err := DoCNI(GetAPIEndpoint("/cni"), &Request{Config: bytes.Repeat([]byte("x"), 2<<20)}, SocketPath(dir))
	if want := error(types.NewError(6, "big", "")); !reflect.DeepEqual(err, want) {
		t.Errorf("got %#v, want the daemon's error", err)
	}
}

func TestDoCNILimitsTheAnswer(t *testing.T) {
	dir := rundir(t)
	serve(t, dir, func(w http.ResponseWriter, _ *http.Request) {
		block := bytes.Repeat([]byte(" "), 1<<20)
		for range maxAnswer>>20 + 4 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	_, err := DoCNI(GetAPIEndpoint("/cni"), nil, SocketPath(dir))
	if err == nil || !strings.Contains(err.Error(), "longer than 16777216 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestPostIsPatient(t *testing.T) {
	dir := rundir(t)
	silent(t, dir)
	enough := errors.New("enough")
	large := &Request{Config: bytes.Repeat([]byte("x"), 8<<20)} // more than a socket takes that nobody reads
	for name, test := range map[string]struct {
		doubt error
		want  error
	}{
		"given up":         {nil, context.DeadlineExceeded},
		"given up earlier": {enough, enough},
	} {
		for _, req := range []*Request{{}, large} {
			t.Run(name, func(t *testing.T) {
				doubts := 0
				p := patience{until: time.Now().Add(100 * time.Millisecond), doubtAt: time.Now().Add(50 * time.Millisecond),
					doubt: func() error { doubts++; return test.doubt }}
				_, err := post(p, message{url: GetAPIEndpoint("/cni"), req: req}, SocketPath(dir))
				var lost *noAnswer
				if !errors.Is(err, test.want) || !errors.As(err, &lost) || !lost.sent || doubts != 1 {
					t.Errorf("got %v after %d doubts", err, doubts)
				}
			})
		}
	}
}

func TestNobodyListens(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{syscall.ECONNREFUSED, false},
		{&noAnswer{err: syscall.ECONNREFUSED}, true},
		{&noAnswer{err: syscall.ENOENT}, true},
		{&noAnswer{err: syscall.EAGAIN}, true},
		{&noAnswer{err: syscall.EACCES}, false},
		{&noAnswer{err: syscall.ECONNREFUSED, sent: true}, false},
		{&noAnswer{err: syscall.ECONNRESET, sent: true}, false},
	} {
		if got := nobodyListens(test.err); got != test.want {
			t.Errorf("%#v: got %v", test.err, got)
		}
	}
}

func TestEndpointAndSocketPath(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{GetAPIEndpoint(MultusCNIAPIEndpoint), "http://dummy/cni"},
		{GetAPIEndpoint("readyz"), "http://dummy/readyz"},
		{SocketPath("/run/multus/"), "/run/multus/multus.sock"},
		{SocketPath("/run/multus"), "/run/multus/multus.sock"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestCreateDelegateRequestOnTheWire(t *testing.T) {
	args := map[string]interface{}{"k": "v"}
	for name, test := range map[string]struct {
		attributes *DelegateInterfaceAttributes
		want       string
	}{
		"no attributes": {nil, ""},
		"empty":         {&DelegateInterfaceAttributes{}, `,"interfaceAttributes":{"cni-args":null}`},
		"all": {&DelegateInterfaceAttributes{IPRequest: []string{"10.1.1.1/24"}, MacRequest: "02:00:00:00:00:01", CNIArgs: &args},
			`,"interfaceAttributes":{"ips":["10.1.1.1/24"],"mac":"02:00:00:00:00:01","cni-args":{"k":"v"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(CreateDelegateRequest("add", "c1", "/ns", "net1", "ns", "pod", "uid", []byte("{}"), test.attributes))
			want := `{"env":{"CNI_ARGS":"K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod;K8S_POD_UID=uid","CNI_COMMAND":"ADD",` +
				`"CNI_CONTAINERID":"c1","CNI_IFNAME":"net1","CNI_NETNS":"/ns"},"config":"e30="` + test.want + `}`
			if err != nil || string(got) != want {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
		})
	}
}
