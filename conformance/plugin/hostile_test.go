// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/plugin/all"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// behaved is a plugin that makes an interface, with a place for what is wrong.
const behaved = `#!/bin/sh
case "$CNI_COMMAND" in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.1.0"]}';;
ADD) %s
  nsenter --net="$CNI_NETNS" ip link add "$CNI_IFNAME" type bridge
  printf '{"cniVersion":"1.1.0","interfaces":[{"name":"%%s","sandbox":"%%s"}]}' "$CNI_IFNAME" "$CNI_NETNS";;
DEL) nsenter --net="$CNI_NETNS" ip link del "$CNI_IFNAME";;
esac
`

// hostile are plugins by what they do at ADD, with what has to be said: of the case
// that fails, or of the target that is not set up.
var hostile = []struct {
	name, script string
	// row is the case; empty for PLUG-12.
	row string
	// args is the target file's plugin.args.
	args     string
	failed   string
	notSetUp string
}{
	{name: "well-behaved"},
	{name: "asks-for-its-pod", args: "IgnoreUnknown=1;K8S_POD_NAME=pod-{{.ContainerID}}", script: `[ "$CNI_ARGS" = "IgnoreUnknown=1;K8S_POD_NAME=pod-$CNI_CONTAINERID" ] || exit 1`},
	{name: "forks-a-daemon", script: "setsid sleep 86399 >/dev/null 2>&1 &", failed: "sleep 86399"},
	{name: "hangs", script: "sleep 86398", notSetUp: "it may take"},
	{name: "prints-without-end", script: "yes hostile", notSetUp: "it printed more than"},
	{name: "fills-the-disk", script: "for d in /var/lib/cni /tmp /etc /opt /root; do dd if=/dev/zero of=$d/thicket-hostile bs=1M >&2; done", failed: "/etc/thicket-hostile"},
	{name: "changes-settings", script: "for s in kernel/panic vm/swappiness kernel/core_pattern; do echo 77 > /proc/sys/$s; done 2>/dev/null\n" +
		"echo 77 > /proc/sys/net/ipv4/ip_default_ttl; ip link add hostile0 type bridge; hostname hostile; mount -t tmpfs none /opt; true", failed: "link hostile0"},
	{name: "kills-its-parent", script: "kill -9 $PPID; sleep 1", notSetUp: "signal killed"},
	{name: "writes-a-log", script: "echo added >> /var/log/hostile.log"},
	{name: "hides-among-logs", script: "mkdir -p /var/log/hostile; echo > /var/log/hostile/${CNI_CONTAINERID%????}-eth0", failed: "/var/log/hostile/"},
	{name: "attaches-once", row: "PLUG-16", script: `[ "$CNI_IFNAME" = eth0 ] || exit 1`},
	{name: "removes-files", script: "rm -rf /etc/hostname /usr/share/doc /run/* /var/lib/cni /home 2>/dev/null; true", failed: "/etc/hostname"},
}

// TestHostilePlugins has plugins that would harm the host judged, and compares
// the host before with the host afterwards.
func TestHostilePlugins(t *testing.T) {
	if os.Geteuid() != 0 && !suite.IsChild() {
		t.Skip("namespaces need root")
	}
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			dir := sharedDir(t)
			target := hostileTarget(t, dir, fmt.Sprintf(behaved, h.script), h.args)
			settings := plugin.Settings{Target: target}
			if suite.IsChild() {
				suite.RunChild(suite.Child{Settings: suite.Settings{Subject: target, Setup: settings, Tasks: settings.Tasks()}, Catalog: catalog(t)})
			}
			before := lookAtHost(t)
			r, err := suite.Judge(t.Context(), suite.Options{
				Settings: suite.Settings{Subject: target, Setup: settings, Tasks: settings.Tasks(), WorkDir: dir}, Catalog: catalog(t),
				Selection: suite.Selection{IDs: []string{cmp.Or(h.row, "PLUG-12")}}, Services: settings.Services(),
				Command: func(ctx context.Context) *exec.Cmd {
					cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^TestHostilePlugins$/^"+h.name+"$", "-test.timeout=0")
					cmd.Env = append(os.Environ(), "THICKET_TEST_DIR="+dir)
					return cmd
				},
			})
			changes := node.Snapshot{Lines: before}.Difference(node.Snapshot{Lines: lookAtHost(t)})
			if len(changes) > 0 {
				t.Errorf("the host is not as before:\n%s", strings.Join(changes, "\n"))
			}
			expectSaid(t, r, err, h.failed, h.notSetUp)
		})
	}
}

// sharedDir is a test's directory, which its children are told.
func sharedDir(t *testing.T) string {
	t.Helper()
	if suite.IsChild() {
		return os.Getenv("THICKET_TEST_DIR")
	}
	return t.TempDir()
}

func expectSaid(t *testing.T, r *report.Report, err error, failed, notSetUp string) {
	t.Helper()
	switch {
	case notSetUp != "":
		if err == nil || !strings.Contains(err.Error(), "not set up") || !strings.Contains(err.Error(), notSetUp) {
			t.Errorf("the error has to say that the target is not set up, and %q: %v", notSetUp, err)
		}
	case err != nil:
		t.Error(err)
	case failed == "" && r.Cases[0].State != report.Passed:
		t.Errorf("%s: %s", r.Cases[0].State, r.Cases[0].Reason)
	case failed != "" && (r.Cases[0].State != report.Failed || !strings.Contains(r.Cases[0].Reason, failed)):
		t.Errorf("%s %q, want a failure that says %q", r.Cases[0].State, r.Cases[0].Reason, failed)
	}
}

func catalog(t *testing.T) *suite.Catalog {
	t.Helper()
	c, err := suite.NewCatalog(all.Profiles()...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hostileTarget(t *testing.T, dir, script, args string) *plugin.Target {
	t.Helper()
	path := filepath.Join(dir, "plugin", "hostile")
	if !suite.IsChild() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target, err := plugin.Parse([]byte(`
apiVersion: conformance.thicket-cni.io/v1alpha1
kind: Plugin
name: hostile
root: `+dir+`
plugin:
  role: interface
  path: plugin/hostile
  args: '`+args+`'
  config: '{"cniVersion":"{{.CNIVersion}}","name":"{{.Name}}","type":"hostile"}'
`), "hostile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// lookAtHost is what the plugins above would change.
func lookAtHost(t *testing.T) []string {
	t.Helper()
	network, err := node.LookAround()
	if err != nil {
		t.Fatal(err)
	}
	lines := network.Lines
	for _, path := range []string{"/proc/sys/kernel/panic", "/proc/sys/vm/swappiness", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/etc/hostname"} {
		content, err := os.ReadFile(path)
		lines = append(lines, fmt.Sprintf("%s %q %v", path, content, err))
	}
	for _, dir := range []string{"/etc", "/opt", "/root", "/var/lib/cni", "/usr/share/doc", "/home", "/etc/cni", "/run/netns"} {
		entries, err := os.ReadDir(dir)
		lines = append(lines, fmt.Sprintf("%s has %d entries, %v", dir, len(entries), err))
	}
	for _, pattern := range []string{"/tmp/thicket-hostile", "/etc/thicket-hostile", "/root/thicket-hostile"} {
		found, _ := filepath.Glob(pattern)
		lines = append(lines, found...)
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range processes {
		if line, _ := os.ReadFile(p); strings.Contains(string(line), "8639") && strings.HasPrefix(string(line), "sleep") || strings.Contains(string(line), "yes\x00hostile") {
			lines = append(lines, string(line))
		}
	}
	return lines
}
