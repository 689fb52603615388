// SPDX-License-Identifier: Apache-2.0

// Command containerd-host starts containerd on a host of its own: one that has
// no cgroups mounted, no image, and nothing of an earlier containerd but what is
// below --root. It imports the sandbox image, and then becomes containerd.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// readyLimit is how long containerd may take to take its first request.
const readyLimit = 20 * time.Second

// host is what the command line says.
type host struct {
	bin, pause, image            string
	root, state, address         string
	confDir, binDir, snapshotter string
}

func main() {
	var h host
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	beside := filepath.Dir(self)
	flag.StringVar(&h.bin, "bin", filepath.Join(filepath.Dir(beside), "node"), "the `directory` of containerd, its shim and ctr")
	flag.StringVar(&h.pause, "pause", filepath.Join(beside, "pause.tar"), "the sandbox image, an archive `file`")
	flag.StringVar(&h.image, "image", "conformance.thicket-cni.io/pause:dev", "the sandbox image's `reference`")
	flag.StringVar(&h.root, "root", "", "the `directory` of what outlives a reboot")
	flag.StringVar(&h.state, "state", "", "the `directory` of what does not")
	flag.StringVar(&h.address, "address", "", "the `socket` to serve on")
	flag.StringVar(&h.confDir, "conf-dir", "", "the `directory` of the network configurations")
	flag.StringVar(&h.binDir, "bin-dir", "", "the `directory` of the plugins")
	flag.StringVar(&h.snapshotter, "snapshotter", "native", "the snapshotter's `name`")
	flag.Parse()
	config, err := h.prepare(context.Background())
	if err == nil {
		path := filepath.Join(h.bin, "containerd")
		err = syscall.Exec(path, []string{path, "--config", config}, os.Environ())
	}
	fmt.Fprintf(os.Stderr, "containerd-host: %v\n", err)
	os.Exit(1)
}

// prepare makes what containerd needs, and returns its configuration's path.
func (h *host) prepare(ctx context.Context) (config string, err error) {
	if _, err := exec.LookPath("runc"); err != nil {
		return "", fmt.Errorf("%w: containerd needs it; apt-get install runc", err)
	}
	for _, dir := range []string{h.root, h.state, filepath.Dir(h.address)} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return "", err
		}
	}
	if err := mountCgroups(); err != nil {
		return "", fmt.Errorf("cgroups: %w", err)
	}
	// containerd looks for its shim there.
	if err := os.Setenv("PATH", h.bin+":"+os.Getenv("PATH")); err != nil {
		return "", err
	}
	if err := h.importImage(ctx); err != nil {
		return "", fmt.Errorf("import %s: %w", h.pause, err)
	}
	return h.configure("config.toml", h.address)
}

// mountCgroups mounts the controllers of version 1, or version 2, as runc looks
// for them.
func mountCgroups() error {
	const root = "/sys/fs/cgroup"
	if mounted, err := os.ReadDir(root); err != nil || len(mounted) > 0 {
		return err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	if !strings.Contains(string(own), ":devices:") {
		return unix.Mount("cgroup2", root, "cgroup2", 0, "")
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	for line := range strings.Lines(string(own)) {
		controllers := strings.Split(line, ":")[1]
		if controllers == "" || strings.HasPrefix(controllers, "name=") {
			continue
		}
		dir := filepath.Join(root, controllers)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", dir, "cgroup", 0, controllers); err != nil {
			return fmt.Errorf("%s: %w", controllers, err)
		}
	}
	return nil
}

// config is containerd's configuration: address, image, and where networks and
// plugins are. The rest is containerd's default, but for what the machine may not
// allow (restrict_oom_score_adj: without CAP_SYS_RESOURCE), and the loopback
// interface, for which no plugin is to be executed beside the network's.
const config = `version = 4
root = %[1]q
state = %[2]q
imports = []
[plugins."io.containerd.server.v1.grpc"]
address = %[3]q
[plugins."io.containerd.server.v1.ttrpc"]
address = %[4]q
[plugins."io.containerd.cri.v1.images"]
snapshotter = %[5]q
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = %[6]q
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [%[7]q]
conf_dir = %[8]q
max_conf_num = 0
use_internal_loopback = true
`

// configure writes the configuration for an address and returns its path.
func (h *host) configure(name, address string) (string, error) {
	path := filepath.Join(h.state, name)
	text := fmt.Sprintf(config, h.root, h.state, address, address+".ttrpc", h.snapshotter, h.image, h.binDir, h.confDir)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// importImage has a containerd of its own import the sandbox image, once.
func (h *host) importImage(ctx context.Context) error {
	done := filepath.Join(h.root, "imported")
	if _, err := os.Stat(done); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	address := h.address + ".import"
	config, err := h.configure("import.toml", address)
	if err != nil {
		return err
	}
	daemon := exec.CommandContext(ctx, filepath.Join(h.bin, "containerd"), "--config", config)
	daemon.Stdout, daemon.Stderr = os.Stdout, os.Stderr
	if err := daemon.Start(); err != nil {
		return err
	}
	imported := h.awaitImport(ctx, address)
	ended := daemon.Process.Signal(syscall.SIGTERM)
	_ = daemon.Wait() // it was told to end
	if err := cmp.Or(imported, ended); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

// awaitImport imports the image as soon as containerd serves.
func (h *host) awaitImport(ctx context.Context, address string) error {
	// containerd makes its socket before it serves, and says nothing when it does.
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		out, err := exec.CommandContext(ctx, filepath.Join(h.bin, "ctr"), "--address", address, "--namespace", "k8s.io",
			"images", "import", "--local", "--snapshotter", h.snapshotter, h.pause).CombinedOutput()
		if err == nil {
			return nil
		}
		if time.Since(began) > readyLimit {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
}
