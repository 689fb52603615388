// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program is the header of one, with an interpreter or without.
func program(t *testing.T, machine elf.Machine, segment elf.ProgType) string {
	t.Helper()
	h := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	var b bytes.Buffer
	for _, part := range []any{h, elf.Prog64{Type: uint32(segment)}} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// packed is a tar of names and contents.
func packed(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))})
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// release is a small one of arm64, with something wrong by choice.
func release(t *testing.T, wrong string) string {
	t.Helper()
	dir := t.TempDir()
	var sums strings.Builder
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if wrong == name {
			content = nil
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), name)
	}
	machine, segment, arch, at := elf.EM_AARCH64, elf.PT_LOAD, "arm64", digest
	switch wrong {
	case "machine":
		machine = elf.EM_X86_64
	case "dynamic":
		segment = elf.PT_INTERP
	case "platform":
		arch = "amd64"
	case "digest":
		at = strings.Replace(digest, "9", "8", 1)
	}
	for _, name := range []string{"thicket", "thicket-conformance"} {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, err := w.Write(packed(t, name, program(t, machine, segment)))
		if err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		write(name+"-v0.0.1-linux-arm64.tar.gz", zipped.Bytes())
		below := fmt.Sprintf(`{"manifests": [{"digest": "sha256:1", "platform": {"architecture": %q}}]}`, arch)
		write(name+"-v0.0.1-image.tar", packed(t, "index.json", fmt.Sprintf(`{"manifests": [{"digest": %q}]}`, digest), "blobs/"+strings.Replace(digest, ":", "/", 1), below))
		for _, manifest := range namedIn[name] {
			write(manifest, []byte("  - image: ghcr.io/thicket-cni/"+name+"@"+at+"\n"))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCheck: each thing that a release can have wrong is named.
func TestCheck(t *testing.T) {
	for wrong, want := range map[string]string{
		"":             "",
		"machine":      "is for EM_X86_64, want EM_AARCH64",
		"dynamic":      "is not static",
		"platform":     "has images of [amd64], want [arm64]",
		"digest":       "by its digest " + digest,
		"install.yaml": "the sum of install.yaml",
	} {
		err := run([]string{"check", "--version", "v0.0.1", "--arch", "arm64", release(t, wrong)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", wrong, err, want)
		}
	}
}
