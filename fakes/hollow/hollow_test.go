// SPDX-License-Identifier: Apache-2.0

package hollow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// programVariable has the test's own program serve hollow nodes. Its value is a file:
// nodes know the definition whose configuration it holds.
const programVariable = "HOLLOW_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if file := os.Getenv(programVariable); file != "" {
		err := Serve(context.Background(), os.Stdin, os.Stdout, func(id Identity, address string, _ []byte) (Node, error) {
			return &fakeNode{id: id, address: address, file: file, ready: make(chan struct{})}, nil
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// fakeNode sends its token to the server, and again the name of each pod.
type fakeNode struct {
	id            Identity
	address, file string
	conn          net.Conn
	ready         chan struct{}
}

func (n *fakeNode) Run(ctx context.Context) (err error) {
	if n.id.Token == "wrong" {
		return errors.New("the token is wrong")
	}
	if n.conn, err = net.Dial("tcp", n.address); err != nil {
		return err
	}
	if err := n.echo(n.id.Token); err != nil {
		return err
	}
	close(n.ready)
	<-ctx.Done()
	return n.conn.Close()
}

func (n *fakeNode) echo(text string) error {
	if _, err := io.WriteString(n.conn, text); err != nil {
		return err
	}
	_, err := io.ReadFull(n.conn, make([]byte, len(text)))
	return err
}

func (n *fakeNode) Ready() <-chan struct{} { return n.ready }

func (n *fakeNode) Knows(d Definition) bool {
	now, err := os.ReadFile(n.file)
	return err == nil && string(now) == d.Config
}

func (n *fakeNode) Attach(_ context.Context, p Pod) error {
	if p.Name == "fails" {
		return errors.New("it fails")
	}
	return n.echo(p.Name)
}

// echoServer sends back what it gets, and counts connections.
func echoServer(t *testing.T) (address string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	connections = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String(), connections
}

func startProgram(t *testing.T) (p *Program, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "definition")
	t.Setenv(programVariable, file)
	p, err := Start(t.Context(), []string{"/proc/self/exe"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return p, file
}

func TestProgram(t *testing.T) {
	address, connections := echoServer(t)
	p, file := startProgram(t)
	took, err := p.Open(t.Context(), Access{Address: address, Nodes: []Identity{{"a", "token-a"}, {"b", "token-b"}}})
	if err != nil || len(took) != 2 || slices.Contains(took, 0) || connections.Load() != 2 {
		t.Fatalf("open: %v, %v, %d connections", took, err, connections.Load())
	}
	wait := p.Await(t.Context(), Definition{Config: "new"})
	traffic, err := p.Count(t.Context())
	if want := (Traffic{Sent: 14, Received: 14, Connections: 2}); err != nil || traffic != want {
		t.Errorf("count = %+v, %v, want %+v", traffic, err, want)
	}
	start := time.Now()
	if err := os.WriteFile(file, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	known, err := wait()
	if err != nil || len(known) != 2 || known[0].Before(start) || known[1].Before(start) {
		t.Errorf("await: %v, %v; the write began at %v", known, err, start)
	}
	took, err = p.Attach(t.Context(), Work{PerSecond: 1000, Pods: []Pod{{Node: "a", Name: "1"}, {Node: "b", Name: "2"}, {Node: "a", Name: "3"}}})
	if err != nil || len(took) != 3 || slices.Contains(took, 0) {
		t.Errorf("attach: %v, %v", took, err)
	}
	if traffic, err = p.Count(t.Context()); err != nil || traffic.Sent != 17 {
		t.Errorf("count after it = %+v, %v", traffic, err)
	}
	for pod, want := range map[failing]string{{"a", "fails"}: "it fails", {"c", "4"}: `no node "c"`} {
		if _, err := p.Attach(t.Context(), Work{PerSecond: 1000, Pods: []Pod{{Node: pod.node, Name: pod.name}}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pod %v: err = %v, want %q in it", pod, err, want)
		}
	}
	if err := p.Break(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := p.Attach(t.Context(), Work{PerSecond: 1000, Pods: []Pod{{Node: "a", Name: "4"}}}); err == nil {
		t.Error("the connection is still there after Break")
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// failing is a pod that cannot be attached.
type failing struct{ node, name string }

func TestOpenFailsWithANode(t *testing.T) {
	address, _ := echoServer(t)
	p, _ := startProgram(t)
	if _, err := p.Open(t.Context(), Access{Address: address, Nodes: []Identity{{"a", "right"}, {"b", "wrong"}}}); err == nil || !strings.Contains(err.Error(), "token is wrong") {
		t.Errorf("err = %v", err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStartNamesTheProgram(t *testing.T) {
	if _, err := Start(t.Context(), []string{"/nonexistent/nodes"}, io.Discard); err == nil || !strings.Contains(err.Error(), "/nonexistent/nodes") {
		t.Errorf("err = %v", err)
	}
}

func TestAttachments(t *testing.T) {
	p := Pod{Namespace: "n", Networks: []string{"x", "y"}}
	all := p.Attachments()
	if len(all) != 3 || !all[0].Default || all[0].Interface != "eth0" || all[2].Network != "n/y" || all[2].Interface != "net2" || all[1].MAC == all[2].MAC {
		t.Errorf("%+v", all)
	}
}
