// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// unpack puts an archive's layout into a directory, to read it as a runtime does.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(at, 0o755)
		} else {
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(at, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageIsWhatARuntimeReads(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("content"), 0o700); err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i := range archives {
		output := filepath.Join(dir, "out", "image.tar")
		err := run([]string{"--output", output, "--name", "docker.io/library/p:t", "--entrypoint", "/bin/p",
			"--env", "PATH=/bin", "--link", "/var/run=/run", program + "=/bin/p"})
		if err != nil {
			t.Fatal(err)
		}
		if archives[i], err = os.ReadFile(output); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same image twice has different bytes")
	}
	at, err := layout.ImageIndexFromPath(unpack(t, filepath.Join(dir, "out", "image.tar")))
	if err != nil {
		t.Fatal(err)
	}
	index, err := at.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if name := index.Manifests[0].Annotations["io.containerd.image.name"]; name != "docker.io/library/p:t" {
		t.Errorf("name %q", name)
	}
	image, err := at.Image(index.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil || strings.Join(config.Config.Entrypoint, " ") != "/bin/p" || config.OS != "linux" {
		t.Errorf("%+v, %v", config, err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		found = append(found, h.Name+h.Linkname)
	}
	if got := strings.Join(found, " "); got != "bin/ bin/p var/ var/run/run" {
		t.Errorf("layer: %s", got)
	}
}

func TestRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"no output":     {"--name", "docker.io/library/p:t", "a=/a"},
		"no file":       {"--output", "o", "--name", "docker.io/library/p:t"},
		"relative":      {"--output", "o", "--name", "docker.io/library/p:t", "a=a"},
		"climbs":        {"--output", "o", "--name", "docker.io/library/p:t", "a=/../a"},
		"twice":         {"--output", "o", "--name", "docker.io/library/p:t", "a=/a", "b=/a"},
		"missing":       {"--output", "o", "--name", "docker.io/library/p:t", "/nonexistent=/a"},
		"no full name":  {"--output", filepath.Join(t.TempDir(), "o"), "--name", "p", "/bin/true=/a"},
		"link's target": {"--output", "o", "--name", "docker.io/library/p:t", "--link", "/a=", "a=/b"},
	} {
		if err := run(args); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestIndex: an archive of several architectures has an image of each, with that
// one's files, below an index whose digest is told.
func TestIndex(t *testing.T) {
	dir := t.TempDir()
	for _, arch := range []string{"amd64", "arm64"} {
		if err := os.WriteFile(filepath.Join(dir, arch), []byte("content of "+arch), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output, digest := filepath.Join(dir, "image.tar"), filepath.Join(dir, "digest")
	err := run([]string{"--output", output, "--name", "docker.io/library/p:t", "--arch", "amd64,arm64", "--digest", digest, filepath.Join(dir, "{arch}") + "=/p"})
	if err != nil {
		t.Fatal(err)
	}
	at, err := layout.ImageIndexFromPath(unpack(t, output))
	if err != nil {
		t.Fatal(err)
	}
	outer, err := at.IndexManifest()
	if err != nil || len(outer.Manifests) != 1 {
		t.Fatalf("%+v, %v", outer, err)
	}
	told, err := os.ReadFile(digest)
	if err != nil || strings.TrimSpace(string(told)) != outer.Manifests[0].Digest.String() {
		t.Errorf("the digest is %s and %q is told: %v", outer.Manifests[0].Digest, told, err)
	}
	index, err := at.ImageIndex(outer.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 2 {
		t.Fatalf("%+v, %v", manifest, err)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		one := manifest.Manifests[i]
		image, err := index.Image(one.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil || one.Platform.Architecture != arch || config.Architecture != arch {
			t.Errorf("%+v has the configuration %+v: %v", one.Platform, config, err)
		}
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := io.ReadAll(content); !bytes.Contains(data, []byte("content of "+arch)) {
			t.Errorf("the image of %s does not have its file", arch)
		}
	}
}
