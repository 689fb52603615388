// SPDX-License-Identifier: Apache-2.0

package api

import (
	"os/exec"
	"strings"
	"testing"
)

// The package is linked into the shim, and the suite that judges foreign daemons imports it (SHIM-13).
func TestImportsOnlyTheStandardLibraryCNIAndQuick(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	imports := strings.Fields(string(out))
	if len(imports) < 10 {
		t.Fatalf("go list tells of %q only", imports)
	}
	for _, path := range imports {
		first, _, _ := strings.Cut(path, "/")
		standard := !strings.Contains(first, ".")
		if !standard && !strings.HasPrefix(path, "github.com/containernetworking/cni/") && path != "github.com/thicket-cni/thicket/pkg/api/quick" {
			t.Errorf("imports %s", path)
		}
	}
}

func TestDependsOnNoKubernetes(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, path := range deps {
		if strings.Contains(path, "k8s.io") || strings.Contains(path, "k8snetworkplumbingwg") {
			t.Errorf("depends on %s", path)
		}
	}
	if len(deps) < 10 {
		t.Fatalf("go list tells of %q only", deps)
	}
}
