// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/version"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/devices"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// drawnWorld is a node with one pod, all of whose names are drawn.
type drawnWorld struct {
	dir    string
	random *rand.Rand
	engine *Engine
	node   *strictNode
	ledger *ledger.Store
	cluster.Cluster
	annotations map[string]string
	definitions map[string]string
	// status is what was published last.
	status []cluster.NetworkStatus
	// withdrawn is what was to be taken away.
	withdrawn []cluster.Withdrawal
}

// newDrawnWorld draws a pod with its definitions.
func newDrawnWorld(t *testing.T, random *rand.Rand) *drawnWorld {
	t.Helper()
	w := newWorld(t)
	w.random = random
	w.annotations[network.NetworksAnnotation] = w.selections()
	if random.IntN(5) == 0 {
		w.annotations[network.DefaultNetworkAnnotation] = w.selections()
	}
	return w
}

// newWorld makes a node with one pod, which selects nothing yet.
func newWorld(t *testing.T) *drawnWorld {
	t.Helper()
	w := &drawnWorld{dir: t.TempDir(), definitions: map[string]string{}, annotations: map[string]string{}}
	w.node = &strictNode{dir: t.TempDir(), links: map[string]bool{}, PluginDecoder: &version.PluginDecoder{}}
	conf := filepath.Join(w.dir, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(conf, "main.conf"), []byte(`{"cniVersion":"1.0.0","name":"main","type":"a"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	return w
}

// start makes a daemon's engine, on the records of the one before.
func (w *drawnWorld) start(t *testing.T) {
	t.Helper()
	store, err := ledger.Open(filepath.Join(w.dir, "cni"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = store
	withdrawals, err := ledger.Open(filepath.Join(w.dir, "cni", "withdrawals"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.engine = New(Options{
		Cluster: w, Planner: network.NewPlanner(network.Options{ClusterNetwork: "main", ConfDir: filepath.Join(w.dir, "conf")}, w), Ledger: store, Withdrawals: withdrawals,
		Exec: w.node, BinDirs: []string{w.dir}, CacheDir: filepath.Join(w.dir, "cni"), DeviceInfo: devices.InfoDir(filepath.Join(w.dir, "info")),
		StatusWait: time.Minute, // what is published is looked at after each request
		Log:        slog.New(slog.DiscardHandler),
	})
	w.engine.own = nil // the test's own namespace stands for the sandbox's
}

// Ready implements cluster.Cluster.
func (w *drawnWorld) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

// addAndDelete attaches the pod, plugs one more network, and deletes it all.
func (w *drawnWorld) addAndDelete(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	r := &Request{ContainerID: "c" + w.text("abc123._-", 70), Netns: "/proc/self/ns/net", Interface: "sandbox0", Pod: ledger.Pod{Namespace: "ns", Name: "p"}}
	story := fmt.Sprintf("annotations %q, definitions %q", w.annotations, w.definitions)
	_, err := w.engine.Add(ctx, r)
	if err == nil {
		plug := *r
		plug.Interface, plug.Config = w.interfaceName(), []byte(w.configuration())
		story += fmt.Sprintf(", hot-plug %q as %q", plug.Config, plug.Interface)
		_, _ = w.engine.HotAdd(ctx, &plug, nil)
	} else {
		story += fmt.Sprintf(", ADD: %v", err)
	}
	if err := w.engine.Del(ctx, r); err != nil {
		t.Fatalf("DEL: %v; %s", err, story)
	}
	w.expectNothing(t, story)
}

// expectNothing asserts that no plugin's file or interface, and no record, is
// left.
func (w *drawnWorld) expectNothing(t *testing.T, story string) {
	t.Helper()
	left, err := os.ReadDir(w.node.dir)
	if err != nil || len(left) > 0 || len(w.node.links) > 0 {
		t.Fatalf("left: files %v, interfaces %v, %v; %s", left, w.node.links, err, story)
	}
	if ids, err := w.ledger.Containers(); err != nil || len(ids) > 0 {
		t.Fatalf("left: records %v, %v; %s", ids, err, story)
	}
}

// text draws up to most characters.
func (w *drawnWorld) text(of string, most int) string {
	characters := []rune(of)
	drawn := make([]rune, w.random.IntN(most+1))
	for i := range drawn {
		drawn[i] = characters[w.random.IntN(len(characters))]
	}
	return string(drawn)
}

// one draws one of several, the first half of the time.
func (w *drawnWorld) one(all ...string) string {
	if w.random.IntN(2) == 0 {
		return all[0]
	}
	return all[w.random.IntN(len(all))]
}

func (w *drawnWorld) interfaceName() string {
	return w.one("eth"+w.text("123456789", 3), w.text("ab1.-_%$'\"\\\x00\x01\n\t\x7f é\u0085\u2028🙂", 17), "net%d", "a\x00b", "%s", "lo")
}

func (w *drawnWorld) configuration() string {
	conf := map[string]any{"cniVersion": w.one("1.0.0", "0.3.1", "0.1.0", "1.1.0"), "name": w.one("net"+w.text("abc", 4), w.text("abAB12._-", 400), w.text("a/\x00 %", 9))}
	plugin := map[string]any{"type": w.one("a", "b", "thicket-shim", "..", "a/b", "a\x00", strings.Repeat("t", 300))}
	if w.random.IntN(2) == 0 {
		plugin["capabilities"] = map[string]bool{"deviceID": true, "CNIDeviceInfoFile": true, "mac": true, "ips": true}
	}
	if w.random.IntN(3) == 0 {
		plugin["ipam"] = map[string]any{"type": w.one("host-local", "", "../x", "multus")}
	}
	if w.random.IntN(2) == 0 {
		conf["plugins"] = []any{plugin, map[string]any{"type": w.one("b", "", "a")}}
	} else {
		for key, value := range plugin {
			conf[key] = value
		}
	}
	text, _ := json.Marshal(conf)
	return string(text)
}

// selections draws an annotation, with the definitions that it names.
func (w *drawnWorld) selections() string {
	var all []map[string]any
	for range 1 + w.random.IntN(3) {
		name := w.one("n"+w.text("abc", 3), "n"+w.text("ab1-.", 251)+"n", w.text("A/\x00", 5))
		w.definitions[name] = w.configuration()
		s := map[string]any{"name": name}
		if w.random.IntN(2) == 0 {
			s["interface"] = w.interfaceName()
		}
		if w.random.IntN(2) == 0 {
			s["deviceID"] = w.one("0000:00:01.0", w.text("a/\x00%..", 300))
		}
		if w.random.IntN(4) == 0 {
			s["mac"] = w.one("02:00:00:00:00:01", "x", "\x00")
		}
		if w.random.IntN(4) == 0 {
			s["cni-args"] = map[string]any{w.text("ab\x00/", 5): w.text("ab\x00", 9)}
		}
		all = append(all, s)
	}
	text, _ := json.Marshal(all)
	return string(text)
}

// Pod implements cluster.Cluster, and the methods below do.
func (w *drawnWorld) Pod(context.Context, string, string) (*cluster.Pod, error) {
	return &cluster.Pod{Namespace: "ns", Name: "p", Annotations: w.annotations}, nil
}

// Definition implements cluster.Cluster.
func (w *drawnWorld) Definition(_ context.Context, namespace, name string) (*cluster.Definition, error) {
	config, known := w.definitions[name]
	if !known {
		return nil, fmt.Errorf("definition %s/%s: %w", namespace, name, cluster.ErrNotFound)
	}
	return &cluster.Definition{Namespace: namespace, Name: name, Config: config}, nil
}

// PublishStatus implements cluster.Cluster.
func (w *drawnWorld) PublishStatus(_ context.Context, _ *cluster.Pod, status []cluster.NetworkStatus) error {
	w.status = status
	return nil
}

// WithdrawStatus implements cluster.Cluster.
func (w *drawnWorld) WithdrawStatus(of cluster.Withdrawal) { w.withdrawn = append(w.withdrawn, of) }

// strictNode executes plugins as a kernel and a careless plugin would: a NUL
// cannot be passed, '%' makes another interface, and a file is named after
// network, container and interface.
type strictNode struct {
	dir   string
	links map[string]bool
	// prints is what the first plugin of the network "odd" prints at ADD; fails
	// has the second one fail then.
	prints []byte
	fails  bool
	// stuck is a network whose plugin fails at ADD, with its work done, and at DEL.
	stuck string
	*version.PluginDecoder
}

// FindInPath implements invoke.Exec.
func (n *strictNode) FindInPath(plugin string, _ []string) (string, error) {
	if plugin != "a" && plugin != "b" {
		return "", (&Exec{}).missing(plugin)
	}
	return "/" + plugin, nil
}

// missing is the error of the real search for a plugin that is not installed.
func (e *Exec) missing(plugin string) error {
	_, err := e.FindInPath(plugin, []string{"/nonexistent"})
	return err
}

// ExecPlugin implements invoke.Exec.
func (n *strictNode) ExecPlugin(_ context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	for _, variable := range environ {
		if strings.ContainsRune(variable, 0) || len(variable) > 128<<10 {
			return nil, syscall.EINVAL
		}
	}
	var conf struct {
		Name       string          `json:"name"`
		CNIVersion string          `json:"cniVersion"`
		PrevResult json.RawMessage `json:"prevResult"`
	}
	if err := json.Unmarshal(stdin, &conf); err != nil {
		return nil, err
	}
	link := variable(environ, "CNI_IFNAME")
	file := filepath.Join(n.dir, conf.Name+"-"+variable(environ, "CNI_CONTAINERID")+"-"+link)
	switch variable(environ, "CNI_COMMAND") {
	case "ADD":
		n.links[strings.ReplaceAll(link, "%d", "0")] = true
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return nil, err
		}
		switch {
		case conf.Name == n.stuck:
			return nil, syscall.EIO
		case conf.Name != "odd":
		case path == "/a":
			return n.prints, nil
		case n.fails:
			return nil, syscall.EIO
		case len(conf.PrevResult) > 0:
			return conf.PrevResult, nil
		}
		return fmt.Appendf(nil, `{"cniVersion":%q}`, conf.CNIVersion), nil
	case "DEL":
		if conf.Name == n.stuck {
			return nil, syscall.EIO
		}
		delete(n.links, link)
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	return nil, nil
}
