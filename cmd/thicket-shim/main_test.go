// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/api"
)

const result = `{"Result":{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/n"}],"ips":[{"interface":0,"address":"10.1.2.3/24"}]}}`

func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestVersionNeedsNoDaemon(t *testing.T) {
	w := newWorld(t)
	got := w.exec("VERSION", `{"cniVersion":"1.1.0"}`)
	info, err := (&cniversion.PluginDecoder{}).Decode([]byte(got.stdout))
	if err != nil || got.exit != 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	want := []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
	if !reflect.DeepEqual(info.SupportedVersions(), want) {
		t.Errorf("got %q", info.SupportedVersions())
	}
}

func TestAboutNamesTheVersion(t *testing.T) {
	got := newWorld(t).exec("", "")
	if got.exit != 0 || got.stdout != "" || !strings.Contains(got.stderr, "thicket-shim v1.2.3") {
		t.Errorf("got %+v", got)
	}
}

func TestAddInEveryVersion(t *testing.T) {
	for _, version := range append(cniversion.All.SupportedVersions(), "") {
		t.Run("version "+version, func(t *testing.T) {
			w := newWorld(t)
			w.serve(answerWith(200, result))
			config := w.config(version, `"delegate":{"é":"\u00e9 <&>"}`)
			got := w.exec("ADD", config, "CNI_ODD= =\tü ")
			want := version
			if want == "" {
				want = "0.1.0"
			}
			r, err := cniversion.NewResult(want, []byte(got.stdout))
			if err != nil || r.Version() != want || got.exit != 0 || got.stderr != "" || !strings.Contains(got.stdout, "10.1.2.3/24") {
				t.Errorf("got %+v, %v", got, err)
			}
			posted := w.posted()
			if len(posted) != 1 {
				t.Fatalf("%d requests", len(posted))
			}
			env := map[string]string{"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/x",
				"CNI_NETNS": "/nonexistent/netns", "CNI_ARGS": "IgnoreUnknown=1;K=a=b", "CNI_ODD": " =\tü "}
			if string(posted[0].Config) != config || !reflect.DeepEqual(posted[0].Env, env) {
				t.Errorf("posted %+v", posted[0])
			}
		})
	}
}

// What a daemon of the same make answers is printed as it came; one that knows nothing of it is asked for the rest.
func TestAddPrintsWhatTheDaemonHasMadeToBePrinted(t *testing.T) {
	w := newWorld(t)
	var accepted string
	w.serve(func(rw http.ResponseWriter, r *http.Request) {
		accepted = r.Header.Get("Accept")
		rw.Header().Set("Content-Type", api.PrintedResult)
		_, _ = rw.Write([]byte(`{"cniVersion":"0.3.1","as":"it came"}`))
	})
	got := w.exec("ADD", w.config("0.3.1"))
	if got.exit != 0 || got.stdout != `{"cniVersion":"0.3.1","as":"it came"}` || got.stderr != "" {
		t.Errorf("got %+v", got)
	}
	if accepted != api.PrintedResult+", application/json" {
		t.Errorf("the shim accepts %q", accepted)
	}
}

// A usual command ends before the packages that it does not need are initialized (SHIM-13).
func TestUsualCommandsNeverReachMain(t *testing.T) {
	for command, answer := range map[string]string{"ADD": `{"cniVersion":"1.0.0"}`, "DEL": "{}", "CHECK": ""} {
		for unusual, variable := range map[bool]string{false: "X=1", true: "CNI_X=ü"} {
			w := newWorld(t)
			w.serve(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", api.PrintedResult)
				_, _ = rw.Write([]byte(answer))
			})
			got := w.exec(command, w.config("1.0.0"), "GODEBUG=inittrace=1", variable)
			begun, all := strings.Contains(got.stderr, "init syscall @"), strings.Contains(got.stderr, "init time @")
			if got.exit != 0 || !begun || all != unusual {
				t.Errorf("%s %s: exit %d, and these are initialized:\n%s", command, variable, got.exit, got.stderr)
			}
			if posted := w.posted(); len(posted) != 1 {
				t.Errorf("%s %s: %d requests", command, variable, len(posted))
			}
		}
	}
}

// With another variable that is not ASCII a command goes the other way; the requests are the same otherwise.
func TestBothWaysSendTheSame(t *testing.T) {
	var sent []*http.Request
	for _, variable := range []string{"X=ü", "CNI_X=ü"} {
		w := newWorld(t)
		w.serve(func(rw http.ResponseWriter, r *http.Request) {
			sent = append(sent, r)
			_, _ = rw.Write([]byte("{}"))
		})
		if got := w.exec("DEL", w.config("1.0.0"), variable); got.exit != 0 {
			t.Fatalf("%s: %+v", variable, got)
		}
		posted := w.posted()[0]
		if delete(posted.Env, "CNI_X"); len(posted.Env) != 6 || posted.Env["CNI_COMMAND"] != "DEL" {
			t.Errorf("%s: posted %q", variable, posted.Env)
		}
	}
	for _, r := range sent {
		r.Header.Del("Content-Length")
	}
	if a, b := sent[0], sent[1]; !reflect.DeepEqual(a.Header, b.Header) || a.RequestURI != b.RequestURI || a.Host != b.Host || a.Method != b.Method || a.Proto != b.Proto || !a.Close || !b.Close {
		t.Errorf("the short way sends %+v, the other %+v", a, b)
	}
}

// Standard input that cannot be read is skel's to refuse, as without package quick.
func TestStandardInputThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	cmd := w.command("ADD", "")
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd.Stdin = dir
	out, err := cmd.Output()
	if err == nil || !strings.Contains(string(out), `"code": 5`) || !strings.Contains(string(out), "is a directory") {
		t.Errorf("%s, %v", out, err)
	}
}

// A result that cannot be printed is told as skel tells it, and never printed in part with success.
func TestStandardOutputThatIsFull(t *testing.T) {
	w := newWorld(t)
	w.serve(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", api.PrintedResult)
		_, _ = rw.Write([]byte("{}"))
	})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := w.command("ADD", w.config("1.0.0"))
	cmd.Stdout = full
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("exit %v", err)
	}
	if n := len(w.posted()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What package quick has read of standard input is given back, and what it has not.
func TestLongConfigurations(t *testing.T) {
	w := newWorld(t)
	w.serve(answerWith(200, result))
	config := w.config("1.0.0", fmt.Sprintf(`"delegate":{"long":%q}`, strings.Repeat("x", 300<<10)))
	got := w.exec("ADD", config)
	if posted := w.posted(); got.exit != 0 || len(posted) != 1 || string(posted[0].Config) != config {
		t.Errorf("exit %d, %.200s, %d requests", got.exit, got.stdout, len(posted))
	}
}

// Package quick must read a configuration as the CNI library does, which takes keys in any letters, and of two equal keys
// the last.
func TestUnusualConfigurations(t *testing.T) {
	for _, config := range []string{
		`{"CNIVersion":"1.0.0","name":"n","type":"t","daemonSocketDir":%q}`,
		`{"cniVersion":"1.0.0","NAME":"n","type":"t","DaemonSocketDir":%q}`,
		`{"cniVersion":"9.9.9","cniVersion":"1.0.0","name":"n","type":"t","daemonSocketDir":%q}`,
		`{"cniVersion":"1.0.0","name":"n","name":null,"type":"t","daemonSocketDir":%q}`,
		`{"cniVersion":"1.0.0","name":"n","type":"t","logLevel":null,"daemonSocketDir":%q,"n":1e999}`,
	} {
		for _, command := range []string{"ADD", "DEL", "CHECK"} {
			w := newWorld(t)
			w.serve(answerWith(200, result))
			config := fmt.Sprintf(config, w.run)
			got := w.exec(command, config)
			if posted := w.posted(); got.exit != 0 || len(posted) != 1 || string(posted[0].Config) != config || (command == "ADD") != strings.Contains(got.stdout, `"1.0.0"`) {
				t.Errorf("%s %s: got %+v, %d requests", command, config, got, len(posted))
			}
		}
	}
}

func TestTheOtherCommands(t *testing.T) {
	for command, versions := range map[string][]string{
		"CHECK":  {"0.4.0", "1.0.0", "1.1.0"},
		"DEL":    {"", "0.1.0", "0.3.1", "0.4.0", "1.1.0"},
		"GC":     {"1.1.0"},
		"STATUS": {"1.1.0"},
	} {
		for _, version := range versions {
			for _, body := range []string{"", "{}", `{"Result":null}`} {
				w := newWorld(t)
				w.serve(answerWith(200, body))
				got := w.exec(command, w.config(version))
				if got.exit != 0 || got.stdout != "" || got.stderr != "" || len(w.posted()) != 1 || len(w.pending()) != 0 {
					t.Errorf("%s %q, answer %q: got %+v, %d requests", command, version, body, got, len(w.posted()))
				}
			}
		}
	}
}

func TestDaemonErrorsArePrintedAsTheyCame(t *testing.T) {
	for _, command := range []string{"ADD", "DEL", "CHECK", "GC", "STATUS"} {
		for status, want := range map[int]*types.Error{
			500: types.NewError(123, "no \"address\" <left>", "range\nfull"),
			503: types.NewError(11, "draining", ""),
			400: types.NewError(7, "bad", "x"),
		} {
			w := newWorld(t)
			w.serve(answerWith(status, fmt.Sprintf(`{"code":%d,"msg":%q,"details":%q}`, want.Code, want.Msg, want.Details)))
			got := w.exec(command, w.config("1.1.0"))
			if e := got.cniError(t); e != *want || got.stderr != "" {
				t.Errorf("%s: got %+v", command, got)
			}
			if len(w.posted()) != 1 || len(w.pending()) != 0 {
				t.Errorf("%s: %d requests, pending %q", command, len(w.posted()), w.pending())
			}
		}
	}
}

func TestUnusableConfigurationsNeverReachTheDaemon(t *testing.T) {
	for more, want := range map[string]uint{
		`"daemonSocketDir":42`:        types.ErrDecodingFailure,
		`"daemonSocketDir":"run"`:     types.ErrInvalidNetworkConfig,
		`"logToStderr":"yes"`:         types.ErrDecodingFailure,
		`"pendingDir":"not/absolute"`: types.ErrInvalidNetworkConfig,
	} {
		for _, command := range []string{"ADD", "DEL", "CHECK"} {
			w := newWorld(t)
			w.serve(answerWith(200, result))
			got := w.exec(command, w.config("1.0.0", more))
			key, _, _ := strings.Cut(more, ":")
			if e := got.cniError(t); e.Code != want || !strings.Contains(e.Msg, key) || len(w.posted()) != 0 {
				t.Errorf("%s with %s: got %+v, %d requests", command, more, got, len(w.posted()))
			}
		}
	}
}

// skel would refuse it only after the result is on standard output. A DEL goes on without the path (DEL-11).
func TestTheShimsOwnNamespaceIsRefused(t *testing.T) {
	w := newWorld(t)
	w.serve(answerWith(200, result))
	got := w.exec("ADD", w.config("1.0.0"), "CNI_NETNS=/proc/self/ns/net")
	if e := got.cniError(t); e.Code != types.ErrInvalidNetNS || len(w.posted()) != 0 {
		t.Errorf("ADD: got %+v, %d requests", got, len(w.posted()))
	}
	got = w.exec("DEL", w.config("1.0.0"), "CNI_NETNS=/proc/self/ns/net")
	if posted := w.posted(); got.exit != 0 || len(posted) != 1 || posted[0].Env["CNI_NETNS"] != "" {
		t.Errorf("DEL: got %+v, requests %+v", got, posted)
	}
	got = w.exec("ADD", w.config("1.0.0"), "CNI_NETNS=/proc/self/ns/net", "CNI_NETNS_OVERRIDE=true")
	if got.exit != 0 || len(w.posted()) != 2 {
		t.Errorf("with CNI_NETNS_OVERRIDE: got %+v, %d requests", got, len(w.posted()))
	}
}

func TestAddRefusesAnEnvironmentThatJSONCannotCarry(t *testing.T) {
	w := newWorld(t)
	w.serve(answerWith(200, result))
	got := w.exec("ADD", w.config("1.0.0"), "CNI_ARGS=K=\xff")
	if e := got.cniError(t); e.Code != types.ErrInvalidEnvironmentVariables || !strings.Contains(e.Msg, "CNI_ARGS") || len(w.posted()) != 0 {
		t.Errorf("got %+v, %d requests", got, len(w.posted()))
	}
}

func TestLogsStayOffStdout(t *testing.T) {
	for _, logFile := range []string{"shim.log", "/dev/stdout", "/proc/self/fd/1", "/proc/nonexistent/log"} {
		t.Run(logFile, func(t *testing.T) {
			w := newWorld(t)
			w.serve(answerWith(200, result))
			path := logFile
			if !filepath.IsAbs(path) {
				path = filepath.Join(w.run, path)
			}
			got := w.exec("ADD", w.config("1.0.0", fmt.Sprintf(`"logFile":%q`, path), `"logToStderr":true`, `"logLevel":"debug"`, `"password":"s3cr3t"`))
			if _, err := cniversion.NewResult("1.0.0", []byte(got.stdout)); err != nil || got.exit != 0 {
				t.Errorf("%v in %+v", err, got)
			}
			logged := got.stderr
			if path != logFile {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				logged += string(content)
				if strings.Count(logged, "command=ADD sandbox=c1 interface=eth0") != 2 {
					t.Errorf("logged %q", logged)
				}
			} else if !strings.Contains(logged, "the log file cannot be used") {
				t.Errorf("logged %q", logged)
			}
			if strings.Contains(logged, "s3cr3t") {
				t.Errorf("a secret is logged: %q", logged)
			}
		})
	}
}

func TestSizeAndMemory(t *testing.T) {
	info, err := os.Stat(shim)
	if err != nil || info.Size() > 8<<20 {
		t.Errorf("the executable has %d bytes, %v", info.Size(), err)
	}
	w := newWorld(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	w.serve(func(rw http.ResponseWriter, r *http.Request) {
		close(asked)
		<-goOn
		answerWith(200, result)(rw, r)
	})
	cmd := w.command("ADD", w.config("1.0.0"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "status"))
	close(goOn)
	if waitErr := cmd.Wait(); waitErr != nil || err != nil {
		t.Fatal(waitErr, err)
	}
	peak := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if peak == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	if kib, err := strconv.Atoi(string(peak[1])); err != nil || kib > 16<<10 {
		t.Errorf("peak memory is %d KiB, %v", kib, err)
	}
}

func TestDependsOnNoKubernetes(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "github.com/thicket-cni/thicket/pkg/api\n") {
		t.Fatalf("go list tells of %q", out)
	}
	if strings.Contains(string(out), "k8s.io") {
		t.Errorf("depends on Kubernetes: %s", out)
	}
}

// A broken connection leaves open what the daemon did; only the runtime may repeat the ADD, after its DEL.
func TestAddIsNeverSentTwice(t *testing.T) {
	for _, command := range []string{"ADD", "CHECK", "GC"} {
		w := newWorld(t)
		w.serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		got := w.exec(command, w.config("1.1.0"))
		if e := got.cniError(t); e.Code != types.ErrTryAgainLater || !strings.Contains(e.Msg, w.run) || len(w.posted()) != 1 {
			t.Errorf("%s: got %+v, %d requests", command, got, len(w.posted()))
		}
	}
}

func TestAddAndCheckWaitForTheDaemon(t *testing.T) {
	for name, before := range map[string]func(*world){"no socket": func(*world) {}, "refused": (*world).stale} {
		for _, command := range []string{"ADD", "CHECK", "GC"} {
			t.Run(command+" "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				before(w)
				done := make(chan outcome, 1)
				config := w.config("1.1.0", `"logLevel":"debug"`, fmt.Sprintf(`"logFile":%q`, filepath.Join(w.run, "log")))
				go func() { done <- w.exec(command, config) }()
				await(t, "the shim waits", func() bool {
					content, _ := os.ReadFile(filepath.Join(w.run, "log"))
					return strings.Contains(string(content), "waiting for the daemon")
				})
				_ = os.Remove(filepath.Join(w.run, "multus.sock"))
				w.serve(answerWith(200, result))
				got := <-done
				if got.exit != 0 || len(w.posted()) != 1 || (command == "ADD") != strings.Contains(got.stdout, "10.1.2.3/24") {
					t.Errorf("got %+v, %d requests", got, len(w.posted()))
				}
			})
		}
	}
}

// await returns when the condition holds and fails the test after ten seconds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// TestTracingCostsNothing: the shim hands the trace context on without knowing
// what it is (SEC-05, SHIM-13).
func TestTracingCostsNothing(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if strings.Contains(path, "opentelemetry") || strings.Contains(path, "protobuf") {
			t.Errorf("depends on %s", path)
		}
	}
	if !strings.Contains(string(out), "github.com/thicket-cni/thicket/pkg/api") {
		t.Fatalf("go list tells of %q only", out)
	}
}
