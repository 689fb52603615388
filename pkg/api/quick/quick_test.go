// SPDX-License-Identifier: Apache-2.0

package quick_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// Another import would have to be initialized before.
func TestImportsOnlySyscall(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports " "}}`, ".").Output()
	if err != nil || strings.TrimSpace(string(out)) != "syscall" {
		t.Errorf("imports %s, %v", out, err)
	}
}

func TestConstantsAreThoseOfTheAPI(t *testing.T) {
	if !slices.Equal(quick.Versions, cniversion.All.SupportedVersions()) {
		t.Errorf("versions %q", quick.Versions)
	}
	if quick.DefaultSocket != api.SocketPath("/run/multus/") || quick.PrintedResult != api.PrintedResult {
		t.Errorf("the default socket is %s, the media type %s", quick.DefaultSocket, quick.PrintedResult)
	}
	keys := []string{"name", "cniDir", "pendingDir"}
	conf := reflect.TypeFor[api.ShimNetConf]()
	for i := range conf.NumField() {
		key, _, _ := strings.Cut(conf.Field(i).Tag.Get("json"), ",")
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if mine := slices.Sorted(slices.Values(quick.Keys)); !slices.Equal(mine, keys) {
		t.Errorf("keys %q, the API has %q", mine, keys)
	}
	if quick.Request(append(slices.Clone(usual), api.DelegateVariable+"=x"), []byte("{}")) != nil {
		t.Error("a delegate's shim is usual")
	}
}

// usual is a usual environment.
var usual = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=c1", "CNI_IFNAME=eth0", "CNI_NETNS=/run/netns/x", "CNI_PATH=/opt/cni/bin", "PATH=/bin", "CNI_ARGS=K=a=b;L="}

func with(variables ...string) []string {
	environ := slices.Clone(usual)
	for _, v := range variables {
		name, _, _ := strings.Cut(v, "=")
		environ = slices.DeleteFunc(environ, func(is string) bool { return strings.HasPrefix(is, name+"=") })
		if strings.Contains(v, "=") {
			environ = append(environ, v)
		}
	}
	return environ
}

func TestUnusualEnvironments(t *testing.T) {
	for _, variables := range [][]string{
		{"CNI_COMMAND"}, {"CNI_COMMAND=GC"}, {"CNI_COMMAND=add"}, {"CNI_CONTAINERID="}, {"CNI_CONTAINERID=-a"}, {"CNI_CONTAINERID=../a"},
		{"CNI_IFNAME"}, {"CNI_IFNAME=sixteen_letters_"}, {"CNI_IFNAME=a b"}, {"CNI_NETNS="}, {"CNI_PATH="}, {"CNI_NETNS_OVERRIDE=1"},
		{"CNI_DELEGATE_OF=/x"}, {"CNI_ARGS=ü"}, {"CNI_ARGS=\""}, {"CNI_X=\n"}, {"CNI_<=1"}, {"TRACEPARENT=\x7f"}, {"BAGGAGE=" + strings.Repeat("x", 17<<10)},
	} {
		if quick.Request(with(variables...), []byte("{}")) != nil {
			t.Errorf("%.40q is usual", variables)
		}
	}
	for _, variables := range [][]string{nil, {"CNI_COMMAND=DEL", "CNI_NETNS="}, {"CNI_COMMAND=CHECK"}, {"HOME=/ü"}, {"CNI_ARGS"}, {"CNI_NETNS_OVERRIDE="}, {"TRACESTATE=a=1"}} {
		if quick.Request(with(variables...), []byte("{}")) == nil {
			t.Errorf("%q is unusual", variables)
		}
	}
}

// FuzzRequest compares with what encoding/json makes of the API's type.
func FuzzRequest(f *testing.F) {
	f.Add("ARGS", "K8S_POD_NAME=a;K8S_POD_NAMESPACE=b", "00-01", []byte(`{"a":"\u00e9"}`))
	f.Add("A", "", "", []byte{0})
	f.Add("Z=", "=", "x", []byte{255, 0, 254})
	f.Fuzz(func(t *testing.T, name, value, trace string, config []byte) {
		environ := with("CNI_"+name+"="+value, "TRACEPARENT="+trace)
		got := quick.Request(environ, config)
		if got == nil || len(config) == 0 {
			return
		}
		env := map[string]string{}
		for _, variable := range environ {
			if name, value, _ := strings.Cut(variable, "="); name != "PATH" {
				env[name] = value
			}
		}
		body, err := json.Marshal(api.Request{Env: env, Config: config})
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: dummy\r\nUser-Agent: thicket-shim\r\nAccept: %s, application/json\r\nContent-Length: %d\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n%s",
			api.MultusCNIAPIEndpoint, api.PrintedResult, len(body), body)
		if string(got) != want {
			t.Errorf("sends\n%s\nwant\n%s", got, want)
		}
	})
}

// FuzzJSON compares with encoding/json.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-0.5e+3,{"b":null}],"c":"\u00e9\n\"","d":true}`, ` [ ] `, `{}`, `{"a":1,}`, `[1,]`, `01`, `-`, `1.`, `1e`, `"\x"`, `"\u12g4"`, "\"\n\"", "\"\xff\"",
		`"`, `tru`, `nullx`, ``, `{"a" 1}`, `{1:2}`, "\x00", "{}\x00", strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("[", 64) + strings.Repeat("]", 64),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		shallow := bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) <= quick.MaxDepth
		if got, want := quick.IsJSON(text), json.Valid(text); got != want && (got || shallow) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	})
}

// FuzzAnswer compares with net/http: an answer that is usual is read as it does, and no byte more is waited for.
func FuzzAnswer(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: " + quick.PrintedResult + "\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\n\n", "HTTP/1.1 200 OK\r\nX(y): 1\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Type: " + quick.PrintedResult + "\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, toPrint := range []bool{true, false} {
			body, more, usual := quick.Body(answer, toPrint)
			if !more && !usual {
				continue
			}
			response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), &http.Request{Method: http.MethodPost})
			var whole []byte
			if err == nil {
				whole, err = io.ReadAll(response.Body)
			}
			switch {
			case more && err == nil:
				t.Errorf("%q is waited for; net/http reads %d %q", answer, response.StatusCode, whole)
			case more:
			case err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(whole, body) || toPrint && response.Header.Get("Content-Type") != api.PrintedResult:
				t.Errorf("%q: body %q; net/http reads %q, %v", answer, body, whole, err)
			}
		}
	})
}

// daemon answers one request with a text and keeps the connection open until the test ends, unless the text ends in END.
func daemon(t *testing.T, answer string) (dir string, request func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "quick-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", api.SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	got, end := make(chan string, 1), make(chan struct{})
	t.Cleanup(func() { close(end); _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
		text, last := strings.CutSuffix(answer, "END")
		if _, err := io.WriteString(conn, text); err != nil || last {
			return
		}
		<-end
	}()
	return dir, func() string { return <-got }
}

// try runs the command in a process' place, with pipes.
func try(t *testing.T, environ []string, stdin string) (begun *quick.Begun, done bool, stdout string) {
	t.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer inR.Close()
	defer outR.Close()
	go func() {
		_, _ = io.WriteString(inW, stdin)
		_ = inW.Close()
	}()
	begun, done = quick.TryIn(environ, int(inR.Fd()), int(outW.Fd()))
	_ = outW.Close()
	printed, err := io.ReadAll(outR)
	if err != nil {
		t.Fatal(err)
	}
	return begun, done, string(printed)
}

func answered(mediaType, body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", mediaType, len(body), body)
}

func TestUsualCommandsAreDone(t *testing.T) {
	for command, answer := range map[string]string{
		"ADD":   answered(quick.PrintedResult, `{"a":1}`),
		"DEL":   answered("application/json", `{}`),
		"CHECK": answered("application/json", ``),
	} {
		dir, request := daemon(t, answer)
		config := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"n","type":"t","daemonSocketDir":%q}`, dir)
		_, done, stdout := try(t, with("CNI_COMMAND="+command), config)
		want := ""
		if command == "ADD" {
			want = `{"a":1}`
		}
		var posted api.Request
		if err := json.Unmarshal([]byte(request()), &posted); !done || stdout != want || err != nil || string(posted.Config) != config || posted.Env["CNI_COMMAND"] != command {
			t.Errorf("%s: done %v, printed %q, posted %+v, %v", command, done, stdout, posted, err)
		}
	}
}

// A pipe that is full and does not block is waited for: half a document is none.
func TestAStandardOutputThatDoesNotBlock(t *testing.T) {
	result := `"` + strings.Repeat("x", 200<<10) + `"` // a pipe takes 64 KiB
	dir, request := daemon(t, answered(quick.PrintedResult, result))
	var out [2]int
	if err := syscall.Pipe2(out[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	printed := make(chan string, 1)
	go func() {
		r := os.NewFile(uintptr(out[0]), "stdout")
		defer r.Close()
		text, _ := io.ReadAll(r)
		printed <- string(text)
	}()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer inR.Close()
	if _, err := fmt.Fprintf(inW, `{"cniVersion":"1.0.0","name":"n","daemonSocketDir":%q}`, dir); err != nil {
		t.Fatal(err)
	}
	_ = inW.Close()
	_, done := quick.TryIn(usual, int(inR.Fd()), out[1])
	_ = syscall.Close(out[1])
	request()
	if text := <-printed; !done || text != result {
		t.Errorf("done %v, %d of %d bytes are printed", done, len(text), len(result))
	}
}

// What is not usual is left to package api, with all that has been read.
func TestWhatIsLeft(t *testing.T) {
	ok := answered(quick.PrintedResult, `{}`)
	for what, answer := range map[string]string{
		"an error":                   "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}",
		"a Response":                 answered("application/json", `{"Result":{}}`),
		"no JSON":                    answered(quick.PrintedResult, `{`),
		"chunks":                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"no length":                  "HTTP/1.1 200 OK\r\n\r\n",
		"another protocol":           "SSH-2.0-x\r\n",
		"the connection's end":       "END",
		"an answer that is cut off":  ok[:len(ok)-1] + "END",
		"an answer that is too long": answered(quick.PrintedResult, `"`+strings.Repeat("x", quick.MaxAnswer)+`"`),
	} {
		dir, request := daemon(t, answer)
		config := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":%q}`, dir)
		begun, done, stdout := try(t, usual, config)
		request()
		if done || stdout != "" || begun == nil || begun.Conn < 0 || string(begun.Input) != config || len(begun.Unsent) > 0 || begun.More || !strings.HasPrefix(answer, string(begun.Answer)) {
			t.Errorf("%s: done %v, printed %q, left %+v", what, done, stdout, begun)
		}
		_ = os.NewFile(uintptr(begun.Conn), "").Close()
	}
}

func TestADaemonThatIsSilentIsDoubtedInTime(t *testing.T) {
	dir, request := daemon(t, "")
	begun, done, _ := try(t, with("CNI_COMMAND=DEL"), fmt.Sprintf(`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":%q}`, dir))
	request()
	if done || begun.Waited < quick.DelPatience-20 || begun.Conn < 0 {
		t.Errorf("done %v, left %+v", done, begun)
	}
	_ = os.NewFile(uintptr(begun.Conn), "").Close()
}

func TestNothingIsSent(t *testing.T) {
	dir, _ := daemon(t, "")
	config := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":%q}`, dir)
	for what, c := range map[string]struct {
		environ []string
		stdin   string
		read    bool
	}{
		"an unusual environment":   {with("CNI_COMMAND=GC"), config, false},
		"the shim's own namespace": {with("CNI_NETNS=/proc/thread-self/ns/net"), config, false},
		"an unusual configuration": {usual, strings.Replace(config, "name", "Name", 1), true},
		"a long configuration":     {usual, config + strings.Repeat(" ", 2*quick.MaxInput), true}, // of which more is left
		"no daemon":                {usual, strings.Replace(config, dir, filepath.Join(dir, "x"), 1), true},
	} {
		begun, done, stdout := try(t, c.environ, c.stdin)
		if done || stdout != "" || (begun != nil) != c.read || begun != nil && (begun.Conn >= 0 || !strings.HasPrefix(c.stdin, string(begun.Input)) || begun.More != (len(c.stdin) > quick.MaxInput) || len(begun.Input) < min(len(c.stdin), quick.MaxInput)) {
			t.Errorf("%s: done %v, printed %q, left %+v", what, done, stdout, begun)
		}
	}
}

// A daemon may refuse a request before it has read all of it (EP-09).
func TestARequestThatIsNotTaken(t *testing.T) {
	dir, err := os.MkdirTemp("", "quick-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	listener, err := net.Listen("unix", api.SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = conn.Read(make([]byte, 1))
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
			_ = conn.Close()
		}
	}()
	environ := slices.Clone(usual)
	for i := range 20 {
		environ = append(environ, fmt.Sprintf("CNI_%d=%s", i, strings.Repeat("x", 16000)))
	}
	config := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":%q,"x":%q}`, dir, strings.Repeat("x", 60<<10))
	begun, done, _ := try(t, environ, config)
	if done || begun.Conn < 0 || len(begun.Unsent) == 0 || string(begun.Input) != config {
		t.Errorf("done %v, %d bytes unsent", done, len(begun.Unsent))
	}
	_ = os.NewFile(uintptr(begun.Conn), "").Close()
}
