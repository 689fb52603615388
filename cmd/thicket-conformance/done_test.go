// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDone: what Sonobuoy collects is the archive that the file names.
func TestDone(t *testing.T) {
	report, file := t.TempDir(), filepath.Join(t.TempDir(), "results", "done")
	if err := os.WriteFile(filepath.Join(report, "junit.xml"), []byte("<testsuites/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cause error
		want  string
	}{
		"passed":     {nil, "junit.xml"},
		"failed":     {errFailed, "junit.xml"},
		"not judged": {errors.New("no such target"), "error.txt junit.xml"},
	} {
		if err := done(file, report, c.cause); err != nil {
			t.Fatal(err)
		}
		named, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := names(t, string(named)); got != c.want {
			t.Errorf("%s: the archive has %q, want %q", name, got, c.want)
		}
	}
}

// TestPodsCallTheProgram: what the manifests of kind/conformance pass is what the
// program takes.
func TestPodsCallTheProgram(t *testing.T) {
	for _, manifest := range []string{"job.yaml", "sonobuoy.yaml"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "kind", "conformance", manifest))
		if err != nil {
			t.Fatal(err)
		}
		_, list, found := strings.Cut(string(content), " args: [")
		list, _, ended := strings.Cut(list, "]\n")
		if !found || !ended {
			t.Fatalf("%s has no arguments", manifest)
		}
		var args []string
		for _, word := range strings.Split(list, ", ") {
			args = append(args, strings.Trim(word, `"`))
		}
		c, rest, err := root().Find(args)
		if err == nil {
			err = c.ParseFlags(rest)
		}
		if err != nil || c.Name() != "run" {
			t.Errorf("%s: %q: %v", manifest, args, err)
		}
	}
}

// names are the files of an archive.
func names(t *testing.T, archive string) string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return strings.Join(all, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h.Name)
	}
}
