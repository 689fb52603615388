// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/conformance/plugin"
)

// TestDraftIsATarget has drafts of all roles read back as target files.
func TestDraftIsATarget(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine")
	config := filepath.Join(dir, "mine.conf")
	write(t, path, "#!/bin/sh\n", 0o755)
	write(t, config, `{"cniVersion":"0.3.1","name":"prod","type":"mine","bridge":"br0","ipam":{"type":"host-local"}}`, 0o644)
	for _, role := range []plugin.Role{plugin.RoleInterface, plugin.RoleIPAM, plugin.RoleChained, plugin.RoleMeta} {
		for _, c := range []string{"", config} {
			draft := plugin.Draft{Path: path, Role: role, Config: c}
			text, open, err := draft.File(dir)
			if err != nil {
				t.Fatal(err)
			}
			target, err := plugin.Parse(text, filepath.Join(dir, "target.yaml"))
			if err != nil {
				t.Fatalf("%v:\n%s", err, text)
			}
			if target.Role() != role || len(open) == 0 || !strings.HasPrefix(string(text), "# yaml-language-server: $schema=https://") {
				t.Errorf("role %s, to fill in %q", target.Role(), open)
			}
			if c != "" && !strings.Contains(string(text), "br0") {
				t.Errorf("the keys of %s are not in:\n%s", c, text)
			}
		}
	}
}

// TestTargetMistakes has every mistake named with its place and the way out.
func TestTargetMistakes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "mine"), "#!/bin/sh\n", 0o755)
	write(t, filepath.Join(dir, "text"), "hello", 0o644)
	const good = `apiVersion: conformance.thicket-cni.io/v1alpha1
kind: Plugin
name: mine
plugin:
  role: interface
  path: mine
  config: '{"cniVersion":"{{.CNIVersion}}","name":"{{.Name}}","type":"mine"}'
features: [check]
`
	if _, err := plugin.Parse([]byte(good), filepath.Join(dir, "target.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct{ from, to, said string }{
		{"  role: interface", "  rolle: interface", `line 5: the key "rolle" is unknown; is "role" meant?`},
		{"features: [check]", "feature: [check]", `line 8: the key "feature" is unknown; is "features" meant?`},
		{"[check]", "[chekc]", `"chekc" is unknown; is "check" meant?`},
		{"role: interface", "role: bridge", `there are interface, ipam, chained, meta`},
		{"  path: mine", "  path: yours", "yours: no such file or directory; build it, or correct the path (relative ones start from " + dir},
		{"  path: mine", "  path: text", "text is not executable"},
		{"  path: mine", "  path: .", "is a directory, not an executable"},
		{"{{.Name}}", "{{.Network}}", "can't evaluate field Network"},
		{"  path: mine", "  path: mine\n  args: K8S_POD_NAME={{.Pod}}", "can't evaluate field Pod"},
		{`"type":"mine"}`, `"type":"mine"`, "does not render to a JSON object"},
		{`,"type":"mine"`, ``, "its key type is missing"},
		{"{{.CNIVersion}}", "1.0.0", `write "cniVersion": "{{.CNIVersion}}"`},
		{"  config: '", "  konfig: '", `is "config" meant?`},
		{"features:", "versions: [newest]\nfeatures:", `"newest" is not a version of CNI`},
		{"features:", "host: {prepare: [master]}\nfeatures:", `host.prepare: "master" is unknown; there are veth-master, device, dhcp`},
		{"features:", "daemon: {ready: /run/x}\nfeatures:", "daemon.ready is of no use without daemon.command"},
		{"kind: Plugin", "kind: Plug", "want apiVersion"},
	} {
		text := strings.Replace(good, m.from, m.to, 1)
		_, err := plugin.Parse([]byte(text), filepath.Join(dir, "target.yaml"))
		if err == nil || !strings.Contains(err.Error(), m.said) || !strings.Contains(err.Error(), "target.yaml") {
			t.Errorf("%s for %s: %v, want %q", m.to, m.from, err, m.said)
		}
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
