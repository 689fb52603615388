// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containernetworking/cni/libcni"
	. "github.com/onsi/gomega"
)

// node is one test's node: a runtime's directory and the files around it.
type node struct {
	*WithT
	t    *testing.T
	dir  string
	stop func() error // ends the manager that was started last
}

func newNode(t *testing.T) *node {
	return &node{WithT: NewWithT(t), t: t, dir: filepath.Join(t.TempDir(), "etc/cni/net.d")}
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

// put writes a file as network agents do it, by rename or in place.
func (n *node) put(name, content string) {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	n.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	n.Expect(os.WriteFile(path, []byte(content), 0o644)).To(Succeed())
}

func (n *node) options() Options {
	return Options{
		File: Auto, ConfigDir: n.dir, Log: slog.New(slog.NewTextHandler(n.t.Output(), nil)),
		Shim: Shim{Type: "thicket-shim", SocketDir: "/run/other", LogLevel: "debug", LogFile: "/var/log/shim", LogToStderr: true},
	}
}

func (n *node) start(o Options) *Manager {
	m := New(o)
	ctx, cancel := context.WithCancel(n.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	n.stop = func() error {
		cancel()
		err := <-ended
		ended <- nil // for the clean-up, when the test has stopped it already
		return err
	}
	stop := n.stop
	n.t.Cleanup(func() { _ = stop() })
	return m
}

// generated is the file as a runtime loads it, nil when there is none.
func (n *node) generated() (map[string]any, error) {
	data, err := os.ReadFile(n.path(FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var c map[string]any
	return c, json.Unmarshal(data, &c)
}

func single(name, extra string) string {
	return fmt.Sprintf(`{"cniVersion":"0.4.0","name":%q,"type":"fake"%s}`, name, extra)
}

func (n *node) awaitNetwork(m *Manager, file string) {
	n.t.Helper()
	n.Eventually(m.ClusterNetwork, "10s").Should(Equal(n.path(file)))
	n.Eventually(m.Waiting, "10s").Should(BeEmpty())
	n.Expect(m.Ready()).To(BeClosed())
	n.Eventually(n.generated, "10s").Should(HaveKeyWithValue("clusterNetwork", n.path(file)))
}

func (n *node) awaitWaiting(m *Manager, words ...string) {
	n.t.Helper()
	for _, word := range words {
		n.Eventually(m.Waiting, "10s").Should(ContainSubstring(word))
	}
	n.Expect(m.Ready()).NotTo(BeClosed())
}

func TestDefaultNetworkIsFollowed(t *testing.T) {
	n := newNode(t)
	m := n.start(n.options())
	n.awaitWaiting(m, n.dir, "not there")

	n.Expect(os.MkdirAll(n.dir, 0o755)).To(Succeed())
	n.awaitWaiting(m, ".conflist", n.dir)
	n.Expect(n.generated()).To(BeNil(), "nothing is written before the default network is there")

	n.put("README", "{")
	n.put("00-multus-other.conf", single("other", ""))
	n.put("05-shim.conf", `{"cniVersion":"1.0.0","name":"m","type":"multus-shim"}`)
	n.put("20-b.conflist", `{"cniVersion":"0.4.0","name":"b","plugins":[{"type":"x","capabilities":{"portMappings":true,"off":false}},{"type":"y","capabilities":{"bandwidth":true}}]}`)
	n.awaitNetwork(m, "20-b.conflist")
	n.Expect(n.generated()).To(Equal(map[string]any{
		"cniVersion": "1.1.0", "name": "multus-cni-network", "type": "thicket-shim",
		"capabilities":    map[string]any{"portMappings": true, "bandwidth": true},
		"daemonSocketDir": "/run/other", "logFile": "/var/log/shim", "logLevel": "debug", "logToStderr": true,
		"clusterNetwork": n.path("20-b.conflist"),
	}))

	n.put("20-b.conflist", single("b", `,"capabilities":{"mac":true}`))
	n.Eventually(n.generated, "10s").Should(HaveKeyWithValue("capabilities", map[string]any{"mac": true}))
	n.put("10-a.conf", single("a", ""))
	n.awaitNetwork(m, "10-a.conf")
	n.Expect(n.generated()).NotTo(HaveKey("capabilities"))

	n.put("10-a.conf", `{"cniVersion":"0.4.0","name":"a","ty`)
	n.awaitWaiting(m, "usable", "10-a.conf")
	n.Expect(n.generated()).To(HaveKeyWithValue("clusterNetwork", n.path("10-a.conf")), "the runtime keeps the last good one")
	n.Expect(m.ClusterNetwork()).To(BeEmpty())
	n.Expect(os.Remove(n.path("10-a.conf"))).To(Succeed())
	n.awaitNetwork(m, "20-b.conflist")

	n.Expect(os.Remove(n.path("20-b.conflist"))).To(Succeed())
	n.awaitWaiting(m, n.dir)
	n.Expect(n.generated()).NotTo(BeNil(), "DEL and STATUS reach the daemon through it")
	n.put("20-b.conflist", single("b", ""))
	n.awaitNetwork(m, "20-b.conflist")

	n.Expect(os.Rename(n.dir, n.dir+".old")).To(Succeed())
	n.awaitWaiting(m, "not there")
	n.put("30-c.conf", single("c", ""))
	n.awaitNetwork(m, "30-c.conf")

	n.Expect(n.stop()).To(Succeed())
	n.Expect(n.generated()).NotTo(BeNil(), "a generated file outlives its daemon")
	n.Expect(n.path("30-c.conf")).To(BeARegularFile())
}

func TestRuntimesLoadWhatIsGenerated(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conflist", `{"name":"a","plugins":[{"type":"x","capabilities":{"portMappings":true}}]}`)
	o := n.options()
	o.Shim.OverrideNetworkName = true
	n.awaitNetwork(n.start(o), "10-a.conflist")

	// containerd and CRI-O take the first file of the directory, make a list of
	// a .conf, and derive runtimeConfig from the plugin's capabilities.
	files, err := libcni.ConfFiles(n.dir, []string{".conf", ".conflist", ".json"})
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(files[0]).To(Equal(n.path(FileName)))
	conf, err := libcni.ConfFromFile(files[0]) //nolint:staticcheck // what the runtimes in use call
	n.Expect(err).NotTo(HaveOccurred())
	list, err := libcni.ConfListFromConf(conf) //nolint:staticcheck // see above
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(list.Name).To(Equal("a"))
	n.Expect(list.CNIVersion).To(Equal(newestVersion))
	n.Expect(list.Plugins).To(HaveLen(1))
	n.Expect(list.Plugins[0].Network.Type).To(Equal("thicket-shim"))
	n.Expect(list.Plugins[0].Network.Capabilities).To(Equal(map[string]bool{"portMappings": true}))
	info, err := os.Stat(files[0])
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(info.Mode()).To(Equal(fs.FileMode(0o600)))
}

func TestMasterByName(t *testing.T) {
	n := newNode(t)
	elsewhere := filepath.Join(t.TempDir(), "later", "net.conf")
	n.put("10-a.conf", single("a", ""))
	for _, name := range []string{"20-b.conf", elsewhere} {
		o := n.options()
		o.Master = name
		m := n.start(o)
		path := name
		if !filepath.IsAbs(name) {
			path = n.path(name)
		}
		n.awaitWaiting(m, path)
		n.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		n.Expect(os.WriteFile(path, []byte(single("b", "")), 0o644)).To(Succeed())
		n.Eventually(m.ClusterNetwork, "10s").Should(Equal(path))
		n.Expect(os.WriteFile(path, []byte(`{"name":"b","type":"thicket-shim"}`), 0o644)).To(Succeed())
		n.awaitWaiting(m, "shim's own", path)
		n.Expect(n.stop()).To(Succeed())
	}
}

func TestReadinessIndicator(t *testing.T) {
	for _, file := range []string{Auto, ""} {
		n := newNode(t)
		n.put("10-a.conf", single("a", ""))
		o := n.options()
		o.File = file
		o.ReadinessFile = filepath.Join(t.TempDir(), "run", "net", "ready")
		m := n.start(o)
		for range 2 {
			n.awaitWaiting(m, "readinessindicatorfile "+o.ReadinessFile)
			n.Expect(os.MkdirAll(filepath.Dir(o.ReadinessFile), 0o755)).To(Succeed())
			n.Expect(os.WriteFile(o.ReadinessFile, nil, 0o644)).To(Succeed())
			n.Eventually(m.Waiting, "10s").Should(BeEmpty())
			n.Expect(n.generated()).To(HaveLen(map[string]int{Auto: 8}[file]), "written no sooner, and only when asked")
			n.Expect(os.RemoveAll(filepath.Dir(o.ReadinessFile))).To(Succeed())
		}
	}
}

func TestGivenConfigurationIsInstalled(t *testing.T) {
	n := newNode(t)
	given := filepath.Join(t.TempDir(), "given", "70-mine.conf")
	o := n.options()
	o.File = given
	m := n.start(o)
	n.awaitWaiting(m, "multusConfigFile "+given)
	installed := func() string {
		data, _ := os.ReadFile(n.path("70-mine.conf"))
		return string(data)
	}
	n.Expect(os.MkdirAll(filepath.Dir(given), 0o755)).To(Succeed())
	n.Expect(os.MkdirAll(n.dir, 0o755)).To(Succeed())
	for _, content := range []string{
		`{"name":"m","type":"thicket-shim","clusterNetwork":"/a"}`, "{\"name\":\"m\",\n  \"type\":\"thicket-shim\", \"clusterNetwork\":\"/b\"}\n",
	} {
		n.Expect(os.WriteFile(given, []byte(content), 0o644)).To(Succeed())
		n.Eventually(installed, "10s").Should(Equal(content), "byte for byte")
	}
	n.Eventually(m.ClusterNetwork, "10s").Should(Equal("/b"))
	for _, wrong := range []string{`{"name":"m","type":"bridge"}`, `{"name":`, `{"name":"m","type":"thicket-shim","clusterNetwork":7}`} {
		n.Expect(os.WriteFile(given, []byte(wrong), 0o644)).To(Succeed())
		n.awaitWaiting(m, given)
	}
	n.Expect(installed()).To(ContainSubstring("/b"), "the last good one stays")
	n.Expect(n.stop()).To(Succeed())
	n.Expect(installed()).To(ContainSubstring("/b"), "what was given stays when the daemon ends")
}

func TestGivenConfigurationInPlace(t *testing.T) {
	n := newNode(t)
	n.put("70-mine.conf", `{"name":"m","type":"thicket-shim","clusterNetwork":"/a"}`)
	before, err := os.Stat(n.path("70-mine.conf"))
	n.Expect(err).NotTo(HaveOccurred())
	o := n.options()
	o.File = n.path("70-mine.conf")
	m := n.start(o)
	n.Eventually(m.ClusterNetwork, "10s").Should(Equal("/a"))
	after, err := os.Stat(n.path("70-mine.conf"))
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(os.SameFile(before, after)).To(BeTrue(), "a file is not installed over itself")
}

func TestWhatOthersDoToTheFile(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conf", single("a", ""))
	m := n.start(n.options())
	n.awaitNetwork(m, "10-a.conf")
	n.Expect(os.Remove(n.path(FileName))).To(Succeed(), "as a Multus does that is being replaced")
	n.Eventually(n.generated, "10s").Should(HaveKeyWithValue("clusterNetwork", n.path("10-a.conf")))
	n.put(FileName, "{}")
	n.Eventually(n.generated, "10s").Should(HaveKeyWithValue("clusterNetwork", n.path("10-a.conf")))
	entries, err := os.ReadDir(n.dir)
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(entries).To(HaveLen(2), "no file in the making is left")
}

func TestOldDaemonLeavesTheNewOnesFile(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conf", single("a", ""))
	var lost atomic.Bool
	o := n.options()
	o.Holds = func() bool { return !lost.Load() }
	n.awaitNetwork(n.start(o), "10-a.conf")
	stopOld := n.stop
	first, err := os.Stat(n.path(FileName))
	n.Expect(err).NotTo(HaveOccurred())
	lost.Store(true)
	n.awaitNetwork(n.start(n.options()), "10-a.conf")
	before, err := os.Stat(n.path(FileName))
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(os.SameFile(first, before)).To(BeFalse(), "a new daemon makes the file its own, though its content is the same")
	n.Expect(stopOld()).To(Succeed())
	after, err := os.Stat(n.path(FileName))
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(os.SameFile(before, after)).To(BeTrue(), "the new daemon's file")
}

func TestDaemonThatLostItsRunDirectoryWritesNothing(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conf", single("a", ""))
	o := n.options()
	o.Holds = func() bool { return false }
	m := n.start(o)
	n.Eventually(m.ClusterNetwork, "10s").Should(Equal(n.path("10-a.conf")))
	n.put("20-b.conf", single("b", ""))
	n.Expect(os.Remove(n.path("10-a.conf"))).To(Succeed())
	n.Eventually(m.ClusterNetwork, "10s").Should(Equal(n.path("20-b.conf")))
	n.Expect(n.generated()).To(BeNil())
}

func TestWriteThatFailsIsTriedAgain(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conf", single("a", ""))
	n.Expect(os.Mkdir(n.path(FileName), 0o755)).To(Succeed(), "an obstacle")
	m := n.start(n.options())
	n.Eventually(m.Waiting, "10s").Should(BeEmpty(), "ADD can be served all the same")
	n.Expect(os.Remove(n.path(FileName))).To(Succeed())
	n.awaitNetwork(m, "10-a.conf")
}

func TestLeftoversOfKilledWriters(t *testing.T) {
	n := newNode(t)
	n.put("10-a.conf", single("a", ""))
	n.put("."+FileName+".123"+temporarySuffix, `{"cni`)
	n.awaitNetwork(n.start(n.options()), "10-a.conf")
	left, err := filepath.Glob(n.path(".*"))
	n.Expect(err).NotTo(HaveOccurred())
	n.Expect(left).To(BeEmpty())
}

// TestReadersNeverSeeHalfAFile has one reader sample while the file is
// replaced again and again.
func TestReadersNeverSeeHalfAFile(t *testing.T) {
	n := newNode(t)
	f := &file{path: n.path(FileName)}
	n.Expect(os.MkdirAll(n.dir, 0o755)).To(Succeed())
	contents := []string{strings.Repeat("a", 70000), strings.Repeat("b", 10)}
	n.Expect(f.write(t.Context(), []byte(contents[0]))).To(Succeed())
	stop, seen := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			data, err := os.ReadFile(f.path)
			if err == nil && string(data) != contents[0] && string(data) != contents[1] {
				err = fmt.Errorf("a reader got %d bytes", len(data))
			}
			if err != nil {
				seen <- err
				return
			}
			select {
			case <-stop:
				seen <- nil
				return
			default:
			}
		}
	}()
	for i := range 300 {
		n.Expect(f.write(t.Context(), []byte(contents[i%2]))).To(Succeed())
	}
	close(stop)
	n.Expect(<-seen).To(Succeed())
}

func TestHostPath(t *testing.T) {
	root := t.TempDir()
	inHost := filepath.Join(root, "hostroot/run/multus")
	if err := errors.Join(os.MkdirAll(inHost, 0o755), os.MkdirAll(filepath.Join(root, "host"), 0o755), os.Mkdir(filepath.Join(root, "lone"), 0o755),
		// A link stands for the bind mount of a container.
		os.Symlink(filepath.Join(root, "hostroot/run"), filepath.Join(root, "host/run"))); err != nil {
		t.Fatal(err)
	}
	chroot := filepath.Join(root, "hostroot")
	for _, tt := range []struct {
		path, chroot, want string
		ok                 bool
	}{
		{"/run/multus/", "", "/run/multus", true},
		{"/run/multus", "/", "/run/multus", true},
		{root + "/host/run/multus/", chroot, "/run/multus", true},
		{inHost, chroot, "/run/multus", true},
		{root + "/lone", chroot, "", false},
		{root + "/missing", chroot, "", false},
	} {
		got, ok := HostPath(tt.path, tt.chroot)
		if got != tt.want || ok != tt.ok {
			t.Errorf("HostPath(%q, %q) = %q, %t; want %q, %t", tt.path, tt.chroot, got, ok, tt.want, tt.ok)
		}
	}
}

func TestUnheededKeys(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "70-multus.conf")
	g.Expect(os.WriteFile(path, []byte(`{"cniVersion":"1.0.0","name":"m","type":"thicket-shim","namespaceIsolation":true,
		"defaultNetworks":["a"],"logLevel":"debug","delegates":[{"type":"bridge"},{"plugins":[{"type":"macvlan"}]}]}`), 0o600)).To(Succeed())
	networks, _, err := readGiven(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(networks.unheeded).To(Equal([]string{"defaultNetworks", "namespaceIsolation"}))
	g.Expect(networks.Delegates).To(HaveLen(2))
}
