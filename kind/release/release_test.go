// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// made is what the program writes.
func made(t *testing.T, args ...string) string {
	t.Helper()
	output := filepath.Join(t.TempDir(), "out", "file")
	if err := run(append([]string{args[0], "--output", output}, args[1:]...)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestInstall: one file has all that the kustomization has, with the image by its
// digest and by nothing else.
func TestInstall(t *testing.T) {
	content := made(t, "install", "--base", "../manifests/base", "--image", "thicket=ghcr.io/thicket-cni/thicket@"+digest)
	for _, want := range []string{"kind: CustomResourceDefinition", "kind: ClusterRoleBinding", "kind: ConfigMap", "kind: DaemonSet", "daemon-config.json: |"} {
		if !strings.Contains(content, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if all, pinned := strings.Count(content, " image: "), strings.Count(content, " image: ghcr.io/thicket-cni/thicket@"+digest+"\n"); all != 2 || pinned != 2 {
		t.Errorf("%d images, %d of them by the digest", all, pinned)
	}
}

func TestPin(t *testing.T) {
	for _, manifest := range []string{"job.yaml", "sonobuoy.yaml"} {
		content := made(t, "pin", "--image", "thicket-conformance=ghcr.io/thicket-cni/thicket-conformance@"+digest, "../conformance/"+manifest)
		if !strings.Contains(content, " image: ghcr.io/thicket-cni/thicket-conformance@"+digest+"\n") {
			t.Errorf("%s: %s", manifest, content)
		}
	}
}

// TestBill: the bill names the program, by its sum, and each module that it is made
// of; it is the same twice.
func TestBill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "program"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	bill := made(t, "sbom", "--version", "v0.0.1", dir)
	if again := made(t, "sbom", "--version", "v0.0.1", dir); bill != again {
		t.Error("two bills of the same program differ")
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader([]byte(bill)), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range *bom.Components {
		names = append(names, c.Name)
	}
	for _, want := range []string{"program", "std", "github.com/CycloneDX/cyclonedx-go", "sigs.k8s.io/kustomize/api"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("%s is not in %v", want, names)
		}
	}
	refs := map[string]bool{bom.Metadata.Component.BOMRef: true}
	for _, c := range *bom.Components {
		refs[c.BOMRef] = true
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range *d.Dependencies {
			if !refs[ref] {
				t.Errorf("%s needs %s, which the bill does not have", d.Ref, ref)
			}
		}
	}
	if !json.Valid([]byte(bill)) || strings.Contains(bill, "timestamp") || strings.Contains(bill, "serialNumber") {
		t.Error("the bill has what differs from run to run")
	}
}

func TestRefuses(t *testing.T) {
	image := "thicket=ghcr.io/thicket-cni/thicket@" + digest
	for name, args := range map[string][]string{
		"nothing":         {},
		"unknown":         {"sums", "--output", "o"},
		"no output":       {"pin", "--image", "thicket-conformance=ghcr.io/x/y@" + digest, "../conformance/job.yaml"},
		"a tag":           {"install", "--output", "o", "--base", "../manifests/base", "--image", "thicket=ghcr.io/thicket-cni/thicket:v1"},
		"another image":   {"install", "--output", "o", "--base", "../manifests/base", "--image", "other=ghcr.io/x/y@" + digest},
		"no such image":   {"pin", "--output", "o", "--image", image, "../conformance/job.yaml"},
		"no program":      {"sbom", "--output", "o", "--version", "v1", t.TempDir()},
		"not a program":   {"sbom", "--output", "o", "--version", "v1", "../conformance"},
		"bill of no name": {"sbom", "--output", "o", t.TempDir()},
	} {
		if err := run(args); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
