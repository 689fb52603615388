// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
)

// shim is the path of the executable under test.
var shim string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// buildAndRun builds the shim as a release does. This test's own process has package first in it, too, which does nothing
// without CNI_COMMAND in its environment.
func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "thicket-shim-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	shim = filepath.Join(dir, "thicket-shim")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=v1.2.3", "-o", shim, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the shim: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// world is what one test's shim sees: a run directory, a cache directory and perhaps a stand-in daemon.
type world struct {
	t        *testing.T
	run, cni string

	mu       sync.Mutex
	requests []*api.Request // those to /cni
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "thicket-shim-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{t: t, run: filepath.Join(dir, "run"), cni: filepath.Join(dir, "cni")}
	if err := os.Mkdir(w.run, 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) listen() net.Listener {
	w.t.Helper()
	listener, err := net.Listen("unix", api.SocketPath(w.run))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// serve starts a daemon that is healthy and ready and answers /cni by the handler.
func (w *world) serve(cni http.HandlerFunc) {
	w.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/cni", func(rw http.ResponseWriter, r *http.Request) {
		request := &api.Request{}
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, request); err != nil {
			w.t.Errorf("the shim posted %q: %v", body, err)
		}
		w.mu.Lock()
		w.requests = append(w.requests, request)
		w.mu.Unlock()
		cni(rw, r)
	})
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Handler: mux}
	listener := w.listen()
	go func() { _ = server.Serve(listener) }()
	w.t.Cleanup(func() { _ = server.Close() })
}

// silent starts a peer that accepts and never answers.
func (w *world) silent() {
	listener := w.listen()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.t.Cleanup(func() { _ = conn.Close() })
		}
	}()
}

// answering starts a peer that answers byte by byte, the last one after a pause each time, and nothing to a second question.
func (w *world) answering(answer string, pause time.Duration) {
	listener, ended := w.listen(), make(chan struct{})
	w.t.Cleanup(func() { close(ended) })
	go func() {
		for first := true; ; first = false {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.t.Cleanup(func() { _ = conn.Close() })
			if !first {
				continue
			}
			_, _ = io.WriteString(conn, answer[:len(answer)/2])
			go trickle(conn, answer[len(answer)/2:], pause, ended)
		}
	}()
}

func trickle(conn io.Writer, text string, pause time.Duration, ended <-chan struct{}) {
	for i := range len(text) {
		select {
		case <-ended:
			return
		case <-time.After(pause):
		}
		_, _ = io.WriteString(conn, text[i:i+1])
	}
}

// stale leaves the socket of a daemon that was killed.
func (w *world) stale() {
	listener := w.listen()
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = listener.Close()
}

func (w *world) posted() []*api.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.requests)
}

func (w *world) pending() []string {
	w.t.Helper()
	paths, err := api.PendingFiles(api.PendingDir(w.cni))
	if err != nil {
		w.t.Fatal(err)
	}
	return paths
}

// config is a network configuration for this world; more keys are appended as JSON, such as `"logLevel":"debug"`.
func (w *world) config(version string, more ...string) string {
	keys := []string{`"name":"net"`, `"type":"thicket-shim"`, fmt.Sprintf(`"daemonSocketDir":%q`, w.run), fmt.Sprintf(`"cniDir":%q`, w.cni)}
	if version != "" {
		keys = append(keys, fmt.Sprintf(`"cniVersion":%q`, version))
	}
	return "{" + strings.Join(append(keys, more...), ", ") + "}\n"
}

// outcome is what a runtime sees of one execution.
type outcome struct {
	stdout, stderr string
	exit           int
	took           time.Duration
}

// cniError decodes standard output, which has to be one JSON document, as a CNI error.
func (o outcome) cniError(t *testing.T) types.Error {
	t.Helper()
	e := types.Error{}
	if err := json.Unmarshal([]byte(o.stdout), &e); err != nil || o.exit == 0 {
		t.Fatalf("want a CNI error and a failure, got exit status %d, stdout %q, stderr %q (%v)", o.exit, o.stdout, o.stderr, err)
	}
	return e
}

// command prepares the shim as a runtime starts it; env replaces or adds variables, as NAME=value.
func (w *world) command(command, config string, env ...string) *exec.Cmd {
	cmd := exec.Command(shim)
	cmd.Stdin = strings.NewReader(config)
	cmd.Env = append([]string{"PATH=/bin", "SECRET=s3cr3t", "CNI_COMMAND=" + command, "CNI_CONTAINERID=c1", "CNI_IFNAME=eth0",
		"CNI_NETNS=/nonexistent/netns", "CNI_PATH=/opt/x", "CNI_ARGS=IgnoreUnknown=1;K=a=b"}, env...)
	return cmd
}

func (w *world) exec(command, config string, env ...string) outcome {
	w.t.Helper()
	cmd := w.command(command, config, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(start)}
}
