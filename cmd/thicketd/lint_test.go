// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// wants are the faults of testdata/lint that no comment can say.
var wants = map[string]string{
	"trailing.conflist": "4: not a JSON object",
	"nameless.conf":     "1: name",
}

// TestLintBroken: each broken file is refused with the line at fault and the
// reason, and with nothing else.
func TestLintBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/lint/*")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	plugins := t.TempDir()
	for _, name := range []string{"macvlan", "bridge"} {
		if err := os.WriteFile(filepath.Join(plugins, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	comment := regexp.MustCompile(`^# want (.*)\n`)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			g := NewWithT(t)
			data, err := os.ReadFile(file)
			g.Expect(err).NotTo(HaveOccurred())
			want := wants[filepath.Base(file)]
			if found := comment.FindSubmatch(data); found != nil {
				want = string(found[1])
			}
			g.Expect(want).NotTo(BeEmpty())
			var out bytes.Buffer
			err = run([]string{"lint", "--complete", "--bin-dir", plugins, file}, &out, &out)
			g.Expect(err).To(MatchError(errWrong))
			line, text, _ := strings.Cut(want, ": ")
			g.Expect(strings.Split(strings.TrimSpace(out.String()), "\n")).To(HaveExactElements(And(HavePrefix(file+":"+line+": "), ContainSubstring(text))))
		})
	}
}

// TestLintRepository: every manifest and CNI configuration of this repository
// that is not broken on purpose passes.
func TestLintRepository(t *testing.T) {
	g := NewWithT(t)
	root := filepath.Join("..", "..")
	object := regexp.MustCompile(`(?m)^kind: `)
	args := []string{"lint"}
	g.Expect(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || d.Name() == ".git" || d.Name() == "report") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		switch filepath.Ext(path) {
		case ".conf", ".conflist":
			args = append(args, path)
		case ".yaml", ".yml":
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if object.Match(data) {
				args = append(args, path)
			}
		}
		return nil
	})).To(Succeed())
	g.Expect(len(args)).To(BeNumerically(">", 12), "manifests of the repository")
	var out bytes.Buffer
	g.Expect(run(args, &out, &out)).To(Succeed(), out.String())
	g.Expect(out.String()).To(BeEmpty())
}

// TestLintGood: what is right passes; what may be right is a warning.
func TestLintGood(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "good.yaml")
	g.Expect(os.WriteFile(file, []byte(`apiVersion: v1
kind: List
items:
- apiVersion: k8s.cni.cncf.io/v1
  kind: NetworkAttachmentDefinition
  metadata: {name: blue, namespace: shop}
  spec:
    config: '{"cniVersion": "1.0.0", "name": "blue", "plugins": [{"type": "macvlan", "capabilities": {"ips": true}}, {"type": "tuning"}]}'
- apiVersion: k8s.cni.cncf.io/v1
  kind: NetworkAttachmentDefinition
  metadata: {name: of-the-node, namespace: shop}
- apiVersion: apps/v1
  kind: StatefulSet
  metadata: {name: web, namespace: shop}
  spec:
    template:
      metadata:
        annotations:
          k8s.v1.cni.cncf.io/networks: '[{"name": "blue", "ips": ["10.1.0.5/24"]}, {"name": "of-the-node"}]'
- apiVersion: v1
  kind: Pod
  metadata:
    name: other
    annotations:
      k8s.v1.cni.cncf.io/networks: elsewhere/red
- apiVersion: v1
  kind: Service
  metadata: {name: web}
`), 0o600)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "00-multus.conf"), []byte(`{"cniVersion":"1.0.0","name":"multus-cni-network","type":"multus-shim"}`), 0o600)).To(Succeed())
	var out bytes.Buffer
	g.Expect(run([]string{"lint", file, filepath.Join(dir, "00-multus.conf")}, &out, &out)).To(Succeed(), out.String())
	g.Expect(out.String()).To(Equal(file + ":25: warning: network definition elsewhere/red: not found among the files\n"))
}

// TestLintCannotRead: an argument that is not a readable file is an error by itself.
func TestLintCannotRead(t *testing.T) {
	g := NewWithT(t)
	large := filepath.Join(t.TempDir(), "large.yaml")
	g.Expect(os.WriteFile(large, bytes.Repeat([]byte("#\n"), 3<<20), 0o600)).To(Succeed())
	for _, args := range [][]string{{}, {"/nonexistent.yaml"}, {t.TempDir()}, {"/dev/null"}, {large}} {
		var out bytes.Buffer
		err := run(append([]string{"lint"}, args...), &out, &out)
		g.Expect(err).To(HaveOccurred(), "%v", args)
		g.Expect(err).NotTo(MatchError(errWrong), "%v", args)
	}
}
