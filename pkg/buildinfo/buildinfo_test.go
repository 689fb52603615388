// SPDX-License-Identifier: Apache-2.0

package buildinfo

import (
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	if got := Version("v1.2.3"); got != "v1.2.3" {
		t.Errorf("Version of what a flag set = %q", got)
	}
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"}}
	for want, info := range map[string]*debug.BuildInfo{
		"v0.3.0":             {Main: debug.Module{Version: "v0.3.0"}},
		"0123456789ab":       {Main: debug.Module{Version: "(devel)"}, Settings: commit[:1]},
		"0123456789ab-dirty": {Settings: commit},
		unknown:              {Main: debug.Module{Version: "(devel)"}},
	} {
		if got := recorded(info); got != want {
			t.Errorf("recorded(%+v) = %q, want %q", info, got, want)
		}
	}
}

// TestImportsTheStandardLibraryOnly keeps the shim small: it links this package.
func TestImportsTheStandardLibraryOnly(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{join .Imports "\n"}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if strings.Contains(path, ".") {
			t.Errorf("imports %s", path)
		}
	}
}
