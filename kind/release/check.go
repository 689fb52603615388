// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// machines are what the header of a program of each architecture says.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390}

// namedIn are the manifests that name each image.
var namedIn = map[string][]string{
	"thicket":             {"install.yaml"},
	"thicket-conformance": {"conformance-job.yaml", "conformance-sonobuoy.yaml"},
}

// check holds a release's files to each other: each program is static and of its
// archive's architecture, each manifest names the digest that its image has, and the
// sums are those of all files.
func check(dir, version string, arches []string) error {
	var wrong []error
	for _, arch := range arches {
		for _, archive := range []string{"thicket", "thicket-conformance"} {
			wrong = append(wrong, checkArchive(filepath.Join(dir, fmt.Sprintf("%s-%s-linux-%s.tar.gz", archive, version, arch)), machines[arch]))
		}
	}
	for image, manifests := range namedIn {
		wrong = append(wrong, checkImage(dir, image, version, arches, manifests))
	}
	return errors.Join(append(wrong, checkSums(dir))...)
}

// each calls a function with the files of a tar.
func each(r io.Reader, f func(name string, content []byte) error) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(t)
		if err == nil {
			err = f(h.Name, content)
		}
		if err != nil {
			return err
		}
	}
}

func checkArchive(path string, machine elf.Machine) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	programs := 0
	err = each(unzipped, func(name string, content []byte) error {
		programs++
		program, err := elf.NewFile(bytes.NewReader(content))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if program.Machine != machine {
			return fmt.Errorf("%s is for %s, want %s", name, program.Machine, machine)
		}
		for _, p := range program.Progs {
			if p.Type == elf.PT_INTERP {
				return fmt.Errorf("%s is not static", name)
			}
		}
		return nil
	})
	if err == nil && programs == 0 {
		err = errors.New("it has no program")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// index is an OCI index, as far as this program looks at it.
type index struct {
	Manifests []struct {
		Digest   string
		Platform struct{ Architecture string }
	}
}

// checkImage looks for an image's digest in the manifests, and for an image of each
// architecture below it.
func checkImage(dir, image, version string, arches, manifests []string) error {
	path := filepath.Join(dir, fmt.Sprintf("%s-%s-image.tar", image, version))
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	blobs := map[string]index{}
	err = each(file, func(name string, content []byte) error {
		var i index
		if name == "index.json" || len(content) < 1<<16 && json.Valid(content) {
			if err := json.Unmarshal(content, &i); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			blobs[strings.Replace(strings.TrimPrefix(name, "blobs/"), "/", ":", 1)] = i
		}
		return nil
	})
	if err != nil || len(blobs["index.json"].Manifests) != 1 {
		return errors.Join(fmt.Errorf("%s does not have one image index", path), err)
	}
	digest := blobs["index.json"].Manifests[0].Digest
	var has []string
	for _, m := range blobs[digest].Manifests {
		has = append(has, m.Platform.Architecture)
	}
	// A release of one architecture has its image and no index.
	if strings.Join(has, ",") != strings.Join(arches, ",") && (len(has) > 0 || len(arches) > 1) {
		return fmt.Errorf("%s has images of %v, want %v", path, has, arches)
	}
	for _, name := range manifests {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		named, pinned := bytes.Count(content, []byte(" image: ")), bytes.Count(content, []byte("/"+image+"@"+digest+"\n"))
		if named == 0 || named != pinned {
			return fmt.Errorf("%s names %d images, %d of them %s by its digest %s", name, named, pinned, image, digest)
		}
	}
	return nil
}

// checkSums holds SHA256SUMS to the files beside it.
func checkSums(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		return err
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(content)) {
		sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		sums[name] = sum
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Name() == "SHA256SUMS" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(content); sums[f.Name()] != hex.EncodeToString(sum[:]) {
			return fmt.Errorf("SHA256SUMS does not have the sum of %s", f.Name())
		}
		delete(sums, f.Name())
	}
	for name := range sums {
		return fmt.Errorf("SHA256SUMS has %s, which is not there", name)
	}
	return nil
}
