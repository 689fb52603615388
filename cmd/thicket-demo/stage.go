// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/pkg/api"
)

// stage is the node that the demo plays on: directories, uplink, daemon.
type stage struct {
	bin, dir string
	daemon   *exec.Cmd
	// before are the node's interfaces before the first ADD.
	before []string
}

const uplink = "uplink0"

func newStage(bin string) (*stage, error) {
	for _, f := range []string{"thicketd", "thicket-shim", "cni/bridge", "cni/macvlan", "cni/ptp", "cni/host-local"} {
		if _, err := os.Stat(filepath.Join(bin, f)); err != nil {
			return nil, fmt.Errorf("%w: run make build first, or name the directory with --bin", err)
		}
	}
	dir, err := os.MkdirTemp("", "thicket-demo-")
	if err != nil {
		return nil, err
	}
	s := &stage{bin: bin, dir: dir}
	if err := errors.Join(ownRun(), s.addUplink(), s.writeFiles()); err != nil {
		return nil, errors.Join(err, s.clear())
	}
	s.before, err = interfaceNames()
	return s, err
}

// ownRun puts a file system of the demo's own over /run, where named network
// namespaces live: the mount namespace is the demo's, the machine's /run is not.
func ownRun() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts cannot be made private: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("/run of the demo's own: %w", err)
	}
	return nil
}

// addUplink makes the interface that macvlan hangs on: one end of a veth pair
// stands for the node's second network card.
func (s *stage) addUplink() error {
	if lo, err := netlink.LinkByName("lo"); err == nil {
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: uplink}, PeerName: "switch0"}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	for _, name := range []string{uplink, "switch0"} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// writeFiles writes the daemon's configuration, the default network and the
// network definitions.
func (s *stage) writeFiles() error {
	files := map[string]string{
		"daemon.json": fmt.Sprintf(`{
  "socketDir": %q, "cniDir": %q, "binDir": %q, "confDir": %q,
  "clusterNetwork": "default", "multusConfigFile": "", "cluster": {"directory": %q},
  "logLevel": "verbose", "logToStderr": true
}`, s.path("run"), s.path("cache"), filepath.Join(s.bin, "cni"), s.path("net.d"), s.path("manifests")),
		"net.d/10-default.conflist": fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "default", "plugins": [
  {"type": "bridge", "bridge": "thicket0", "isGateway": true,
   "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": "10.88.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}`, s.path("leases")),
		"manifests/networks.yaml": definition("lan", fmt.Sprintf(`{"cniVersion": "1.0.0", "type": "macvlan", "master": %q, "mode": "bridge",
      "ipam": {"type": "host-local", "dataDir": %q, "subnet": "192.168.50.0/24"}}`, uplink, s.path("leases"))) +
			definition("link", fmt.Sprintf(`{"cniVersion": "1.0.0", "type": "ptp",
      "ipam": {"type": "host-local", "dataDir": %q, "subnet": "172.20.0.0/24"}}`, s.path("leases"))),
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func definition(name, config string) string {
	return fmt.Sprintf(`---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: %s, namespace: demo}
spec:
  config: |
    %s
`, name, config)
}

func (s *stage) startDaemon(ctx context.Context) error {
	log, err := os.Create(s.path("daemon.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.daemon = exec.Command(filepath.Join(s.bin, "thicketd"), "--config", s.path("daemon.json")) //nolint:noctx // ended by stopDaemon, gracefully
	s.daemon.Stdout, s.daemon.Stderr = log, log
	if err := s.daemon.Start(); err != nil {
		s.daemon = nil
		return err
	}
	if err := api.WaitUntilAPIReady(s.path("run")); err != nil {
		return fmt.Errorf("%w\n%s", err, s.log())
	}
	info, err := os.Stat(api.SocketPath(s.path("run")))
	if err != nil {
		return err
	}
	say("daemon", "thicketd (pid %d) listens on %s, mode %#o", s.daemon.Process.Pid, api.SocketPath(s.path("run")), info.Mode().Perm())
	return ctx.Err()
}

// stopDaemon ends the daemon as a node does, with SIGTERM.
func (s *stage) stopDaemon() error {
	if s.daemon == nil {
		return nil
	}
	d := s.daemon
	s.daemon = nil
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(10*time.Second, func() { _ = d.Process.Kill() })
	defer late.Stop()
	if err := d.Wait(); err != nil {
		return fmt.Errorf("the daemon ended with %w", err)
	}
	return nil
}

func (s *stage) log() string {
	data, err := os.ReadFile(s.path("daemon.log"))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// clear ends what is left and removes the demo's files; namespaces and
// interfaces go with the demo's own namespaces.
func (s *stage) clear() error {
	return errors.Join(s.stopDaemon(), os.RemoveAll(s.dir))
}

func interfaceNames() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	return names, nil
}
