// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/thicket-cni/thicket/pkg/api"
)

const (
	runtimeTrace = "0af7651916cd43dd8448eb211c80319c"
	runtimeSpan  = "b7ad6b7169203331"
)

// TestSpansOfAnADD: with an endpoint in the standard variables a real receiver of
// OTLP gets, of an ADD by the shim, a span below the runtime's with one for each
// part below it; the delegates hear of theirs. A receiver that is away harms
// nothing.
func TestSpansOfAnADD(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root is needed for a network namespace and the daemon's socket")
	}
	g := NewWithT(t)
	receiver := newReceiver(t)
	n := newTracedNode(t)
	n.start(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL, "OTEL_RESOURCE_ATTRIBUTES=k8s.node.name=worker-1")
	n.shim(t, "ADD", "TRACEPARENT=00-"+runtimeTrace+"-"+runtimeSpan+"-01", "TRACESTATE=vendor=1", "BAGGAGE=a=b")
	n.stop(t) // which sends what is not sent yet

	spans := receiver.trace(t, runtimeTrace)
	t.Logf("the trace of an ADD as the receiver has it:\n%s", tree(spans, runtimeSpan, ""))
	roots := below(spans, runtimeSpan)
	g.Expect(roots).To(HaveLen(1), "spans below the runtime's")
	root := roots[0]
	g.Expect(root.Name).To(Equal("cni ADD"))
	g.Expect(root.TraceState).To(Equal("vendor=1"))
	names := map[string]int{}
	for _, s := range below(spans, hex.EncodeToString(root.SpanId)) {
		names[s.Name]++
		g.Expect(s.StartTimeUnixNano).To(BeNumerically(">=", root.StartTimeUnixNano), s.Name)
		g.Expect(s.EndTimeUnixNano).To(BeNumerically("<=", root.EndTimeUnixNano), s.Name)
	}
	g.Expect(names).To(And(HaveKeyWithValue("plan", 1), HaveKeyWithValue("queue", 2), HaveKeyWithValue("delegate fake", 2), HaveKeyWithValue("status", 1)))
	g.Expect(names["ledger"]).To(BeNumerically(">=", 2), "begin and commit")
	g.Expect(receiver.service()).To(Equal("thicketd"))

	var told []string
	for _, s := range spans {
		if s.Name == "delegate fake" {
			told = append(told, fmt.Sprintf("TRACEPARENT=00-%s-%x-01", runtimeTrace, s.SpanId))
		}
	}
	for _, name := range []string{"eth0", "net1"} {
		environment := n.environment(t, name, "ADD")
		g.Expect(environment).To(ContainElement(BeElementOf(told)), "%s is told of its own span", name)
		g.Expect(environment).To(ContainElements("TRACESTATE=vendor=1", "BAGGAGE=a=b"), name)
	}

	receiver.Close()
	n.start(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL)
	n.shim(t, "DEL", "TRACEPARENT=00-"+runtimeTrace+"-"+runtimeSpan+"-01")
	begun := time.Now()
	n.stop(t)
	g.Expect(time.Since(begun)).To(BeNumerically("<", 10*time.Second), "the end waits for a receiver that is away")
	g.Expect(n.environment(t, "net1", "DEL")).To(ContainElement(HavePrefix("TRACEPARENT=00-" + runtimeTrace)))
}

// TestFailedDelegateInItsSpan: the span of what failed says so, and so does the
// request's.
func TestFailedDelegateInItsSpan(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root is needed for a network namespace and the daemon's socket")
	}
	g := NewWithT(t)
	receiver := newReceiver(t)
	n := newTracedNode(t)
	g.Expect(os.WriteFile(filepath.Join(n.dir, "fail-net1"), nil, 0o600)).To(Succeed())
	n.start(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+receiver.URL+"/v1/traces")
	_, err := n.run("ADD", "TRACEPARENT=00-"+runtimeTrace+"-"+runtimeSpan+"-01")
	g.Expect(err).To(HaveOccurred())
	n.stop(t)
	var failed []string
	for _, s := range receiver.trace(t, runtimeTrace) {
		if s.Status.GetCode() == tracev1.Status_STATUS_CODE_ERROR {
			failed = append(failed, s.Name+": "+s.Status.GetMessage())
		}
	}
	g.Expect(failed).To(ConsistOf(HavePrefix("cni ADD: "), ContainSubstring("delegate fake: told to fail")))
}

// TestSpansThatCannotBeHad: what the environment asks for in vain keeps no daemon
// from serving.
func TestSpansThatCannotBeHad(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root is needed for a network namespace and the daemon's socket")
	}
	n := newTracedNode(t)
	n.start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	n.shim(t, "ADD", "TRACEPARENT=00-"+runtimeTrace+"-"+runtimeSpan+"-00")
	n.stop(t)
	NewWithT(t).Expect(n.log.String()).To(ContainSubstring("OTEL_EXPORTER_OTLP_PROTOCOL"))
	NewWithT(t).Expect(n.environment(t, "net1", "ADD")).To(ContainElement("TRACEPARENT=00-"+runtimeTrace+"-"+runtimeSpan+"-00"), "without spans of the daemon's own")
}

// receiver takes spans by OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracev1.ResourceSpans
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var sent collector.ExportTraceServiceRequest
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
		if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s, %s: %v", req.URL.Path, req.Header.Get("Content-Type"), err)
			http.Error(w, "want spans", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.spans = append(r.spans, sent.ResourceSpans...)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

// trace returns the spans of a trace.
func (r *receiver) trace(t *testing.T, id string) (spans []*tracev1.Span) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range r.spans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				if hex.EncodeToString(s.TraceId) == id {
					spans = append(spans, s)
				}
			}
		}
	}
	slices.SortFunc(spans, func(a, b *tracev1.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	return spans
}

// service is the service that the first span is of.
func (r *receiver) service() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.spans[0].Resource.Attributes {
		if a.Key == "service.name" {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func below(spans []*tracev1.Span, parent string) (found []*tracev1.Span) {
	for _, s := range spans {
		if hex.EncodeToString(s.ParentSpanId) == parent {
			found = append(found, s)
		}
	}
	return found
}

// tree prints the spans below one.
func tree(spans []*tracev1.Span, parent, indent string) string {
	var b strings.Builder
	for _, s := range below(spans, parent) {
		fmt.Fprintf(&b, "%s%s %x, %s", indent, s.Name, s.SpanId, time.Duration(s.EndTimeUnixNano-s.StartTimeUnixNano).Round(time.Microsecond))
		for _, a := range s.Attributes {
			fmt.Fprintf(&b, " %s=%s", a.Key, a.Value.GetStringValue())
		}
		b.WriteString("\n" + tree(spans, hex.EncodeToString(s.SpanId), indent+"  "))
	}
	return b.String()
}

// tracedNode is a node with a daemon and a shim as they are released, and one pod
// on two networks, whose plugin is a script that keeps its environment.
type tracedNode struct {
	dir, bin, netns string
	daemon          *exec.Cmd
	log             *lockedBuffer
}

// lockedBuffer is written while it is read.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

const tracedPlugin = `#!/bin/sh
cat >/dev/null
env >"DIR/env-$CNI_IFNAME-$CNI_COMMAND"
[ "$CNI_COMMAND" = ADD ] || exit 0
if [ -e "DIR/fail-$CNI_IFNAME" ]; then echo '{"cniVersion":"1.0.0","code":100,"msg":"told to fail"}'; exit 1; fi
echo '{"cniVersion":"1.0.0"}'
`

// programs is the directory of what released has built, "" for none.
var programs string

func TestMain(m *testing.M) {
	code := m.Run()
	if programs != "" {
		_ = os.RemoveAll(programs)
	}
	os.Exit(code)
}

// released builds daemon and shim as make build does, once, and returns their
// directory.
var released = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "thicketd-released-")
	if err != nil {
		return "", err
	}
	programs = dir
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "./cmd/thicketd", "./cmd/thicket-shim")
	build.Dir, build.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func newTracedNode(t *testing.T) *tracedNode {
	t.Helper()
	g := NewWithT(t)
	dir, err := os.MkdirTemp("", "thicketd-trace-") // a socket's path has little room
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	built, err := released()
	g.Expect(err).NotTo(HaveOccurred())
	n := &tracedNode{dir: dir, bin: built, netns: newNamespace(t), log: &lockedBuffer{}}
	for _, d := range []string{"run", "cni", "plugins", "conf", "cluster"} {
		g.Expect(os.Mkdir(filepath.Join(dir, d), 0o700)).To(Succeed())
	}
	for path, text := range map[string]string{
		"plugins/fake":       strings.ReplaceAll(tracedPlugin, "DIR", dir),
		"conf/10.conflist":   `{"cniVersion":"1.0.0","name":"default","plugins":[{"type":"fake"}]}`,
		"cluster/pod.yaml":   "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations: {k8s.v1.cni.cncf.io/networks: second}\n",
		"cluster/net.yaml":   "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: second}\nspec:\n  config: '{\"cniVersion\":\"1.0.0\",\"name\":\"second\",\"type\":\"fake\"}'\n",
		"daemon-config.json": fmt.Sprintf(`{"socketDir":%q,"cniDir":%q,"binDir":%q,"confDir":%q,"clusterNetwork":"default","multusConfigFile":"","cluster":{"directory":%q},"logToStderr":true}`, dir+"/run", dir+"/cni", dir+"/plugins", dir+"/conf", dir+"/cluster"),
	} {
		g.Expect(os.WriteFile(filepath.Join(dir, path), []byte(text), 0o700)).To(Succeed())
	}
	return n
}

// newNamespace makes a network namespace that lasts as long as the test, and
// returns its path.
func newNamespace(t *testing.T) string {
	t.Helper()
	path, done := make(chan string), make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			close(path)
			return
		}
		path <- fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		<-done
	}()
	made, ok := <-path
	if !ok {
		t.Skip("no network namespace can be made here")
	}
	return made
}

// start starts the daemon with variables, and waits until it is ready.
func (n *tracedNode) start(t *testing.T, variables ...string) {
	t.Helper()
	n.daemon = exec.Command(filepath.Join(n.bin, "thicketd"), "--config", filepath.Join(n.dir, "daemon-config.json"))
	n.daemon.Env = append([]string{"PATH=" + os.Getenv("PATH")}, variables...)
	n.daemon.Stderr = n.log
	NewWithT(t).Expect(n.daemon.Start()).To(Succeed())
	daemon := n.daemon
	t.Cleanup(func() {
		if daemon.ProcessState == nil {
			_ = daemon.Process.Kill()
			_ = daemon.Wait()
		}
		if t.Failed() {
			t.Log(n.log)
		}
	})
	NewWithT(t).Expect(api.WaitUntilAPIReady(filepath.Join(n.dir, "run"))).To(Succeed())
}

func (n *tracedNode) stop(t *testing.T) {
	t.Helper()
	NewWithT(t).Expect(n.daemon.Process.Signal(syscall.SIGTERM)).To(Succeed())
	NewWithT(t).Expect(n.daemon.Wait()).To(Succeed())
}

// shim has a command carried out as a runtime does, which has to succeed.
func (n *tracedNode) shim(t *testing.T, command string, variables ...string) {
	t.Helper()
	out, err := n.run(command, variables...)
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), "%s: %s", command, out)
}

func (n *tracedNode) run(command string, variables ...string) ([]byte, error) {
	conf, err := json.Marshal(map[string]string{"cniVersion": "1.0.0", "name": "n", "type": "thicket-shim", "daemonSocketDir": n.dir + "/run", "cniDir": n.dir + "/cni"})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(n.bin, "thicket-shim"))
	cmd.Stdin = bytes.NewReader(conf)
	cmd.Env = append([]string{"CNI_COMMAND=" + command, "CNI_CONTAINERID=c1", "CNI_NETNS=" + n.netns, "CNI_IFNAME=eth0", "CNI_PATH=" + n.bin,
		"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p"}, variables...)
	return cmd.CombinedOutput()
}

// environment is what the plugin had in its environment for an interface.
func (n *tracedNode) environment(t *testing.T, name, command string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.dir, "env-"+name+"-"+command))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
