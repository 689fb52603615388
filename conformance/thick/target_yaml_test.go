// SPDX-License-Identifier: Apache-2.0

package thick_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/conformance/thick"
)

const goodTarget = `apiVersion: conformance.thicket-cni.io/v1alpha1
kind: Target
name: x
root: .
shim: {path: shim, config: '{"d": "{{.RunDir}}"}'}
daemon:
  command: [daemon, "{{.ConfigFile}}"]
  config: '{"d": "{{.CacheDir}}"{{if .RequestLimit}}, "l": {{.RequestLimit}}{{end}}}'
version: [daemon]
features: [kill]
`

func TestLoadTarget(t *testing.T) {
	load := func(t *testing.T, content string) (thick.Target, error) {
		dir := t.TempDir()
		for _, name := range []string{"shim", "daemon"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho v1\nexit 4\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "target.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		target, err := thick.LoadTarget(path)
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
		return target, err
	}
	good, err := load(t, goodTarget)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := good.Version(t.Context()); v != "v1" || err != nil {
		t.Error(v, err)
	}
	elsewhere := strings.Replace(goodTarget, "root: .", "root: /nowhere", 1)
	if _, err := load(t, elsewhere); err == nil || !strings.Contains(err.Error(), " /nowhere)") {
		t.Errorf("an absolute root: %v", err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":          {"kind:", "colour: red\nkind:", `line 2: the key "colour" is unknown`},
		"misspelt key":         {"  command:", "  comand:", `line 7: the key "comand" is unknown; is "command" meant?`},
		"misspelt feature":     {"[kill]", "[kil]", `feature "kil" is unknown; is "kill" meant?`},
		"api version":          {"v1alpha1", "v9", "v1alpha1"},
		"no name":              {"name: x", "name: ''", "name"},
		"no shim":              {"shim: {path: shim,", "shim: {path: '',", "shim.path"},
		"no command":           {`[daemon, "{{.ConfigFile}}"]`, "[]", "daemon.command"},
		"feature":              {"[kill]", "[fly]", "fly"},
		"install":              {"[kill]", "[install]", "install"},
		"missing binary":       {"path: shim", "path: shimm", "shimm"},
		"template syntax":      {"{{.CacheDir}}", "{{.CacheDir", "daemon.config"},
		"unknown path":         {"{{.CacheDir}}", "{{.Cache}}", "daemon.config"},
		"not JSON":             {`'{"d": "{{.RunDir}}"}'`, `'{"d": {{.RunDir}}}'`, "shim.config"},
		"command template":     {"{{.ConfigFile}}", "{{.Config}}", "daemon.command"},
		"conditional not JSON": {`, "l": {{.RequestLimit}}`, ` "l": {{.RequestLimit}}`, "daemon.config"},
		"a variable":           {"{{.RunDir}}", "${THICKET_TEST_UNSET}", "shim.config: set the environment variable THICKET_TEST_UNSET"},
		"empty":                {goodTarget, "", "apiVersion"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, strings.Replace(goodTarget, c.old, c.new, 1))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v, want it to name %s", err, c.want)
			}
		})
	}
}
