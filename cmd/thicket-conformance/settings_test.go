// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// runCalled is the command run after it was called with these arguments.
func runCalled(t *testing.T, args ...string) *cobra.Command {
	t.Helper()
	c, rest, err := root().Find(append([]string{"run"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Fatal(err)
	}
	return c
}

// The command line goes before the environment, and that before the file.
func TestSettle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.yaml")
	file := "target: of-file.yaml\nonly: [A-01, A-02]\nseed: 7\nparallel: 3\nstrict-features: true\nunclaimed: true\ncontact: '@a,@b'\n"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c := runCalled(t, "--parallel", "1", "--skip", "B-01", "--config-file", path)
	err := settle(c, []string{
		"PATH=/bin", envPrefix + "SEED=8", envPrefix + "PARALLEL=2", envPrefix + "SKIP=C-01", envPrefix + "PROFILES=add,del", envPrefix + "CASE=X-01",
		envPrefix + "REPORT=", envPrefix + "KUBERNETES_ASSETS=/assets", envPrefix + "IDS=mutants",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"target": "of-file.yaml", "only": "[A-01,A-02]", "seed": "8", "parallel": "1", "skip": "[B-01]", "profiles": "[add,del]", "report": "",
		"strict-features": "true", "contact": "[@a,@b]", "kubernetes-assets": "/assets",
	} {
		f := c.Flags().Lookup(name)
		if got := f.Value.String(); got != want || f.Changed != (want != "") {
			t.Errorf("--%s is %s, want %s; changed %v", name, got, want, f.Changed)
		}
	}
}

func TestSettleRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"targt: x":       `settings.yaml: line 1: "targt" is not a flag; is "target" meant?`,
		"\nseed: many":   "line 2: seed: ",
		"seed: [1, 2]":   "line 1: seed: want one value, and not 2",
		"seed: {a: b}":   "line 1: seed: want a value or a list",
		"only: [{a: b}]": "line 1: only: ",
		"[a]":            "settings.yaml: ",
		"config-file: x": `"config-file" is not a flag`,
	} {
		path := filepath.Join(t.TempDir(), "settings.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := settle(runCalled(t, "--config-file", path), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for entry, want := range map[string]string{
		"STRICT_FEATURE=true": `THICKET_CONFORMANCE_STRICT_FEATURE belongs to no flag; is "strict-features" meant?`,
		"SEED=many":           "THICKET_CONFORMANCE_SEED: ",
		"CONFIG_FILE=/gone":   "--config-file: ",
	} {
		if err := settle(runCalled(t), []string{envPrefix + entry}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
}

// What the program tells its own processes is not a flag, and every such variable
// is known.
func TestInternalVariables(t *testing.T) {
	known := settings(root())
	for _, name := range internal {
		if known[strings.ToLower(name)] != nil {
			t.Errorf("the flag --%s and the program's own %s%s have one name", strings.ToLower(name), envPrefix, name)
		}
	}
	quoted := regexp.MustCompile(`"` + envPrefix + `(\w+)"`)
	for _, dir := range []string{"../../conformance", "../../fakes"} {
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			for _, m := range quoted.FindAllStringSubmatch(string(data), -1) {
				if !slices.Contains(internal, m[1]) {
					t.Errorf("%s: %s%s is not among the internal variables", path, envPrefix, m[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
