// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// writeArchive writes an image or an index as an OCI image layout in a tar, under
// the name that
// containerd and the layout specification look for.
func writeArchive(output, reference string, content mutate.Appendable) error {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("--name: %w; write registry, path and tag, such as docker.io/library/thicket:dev", err)
	}
	dir, err := os.MkdirTemp("", "image-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	at, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	named := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": tag.TagStr(),
	})
	switch c := content.(type) {
	case v1.Image:
		err = at.AppendImage(c, named)
	case v1.ImageIndex:
		err = at.AppendIndex(c, named)
	}
	if err != nil {
		return err
	}
	// The name appears when the archive is complete: make takes a file that is
	// there for one that is done.
	partial := output + ".partial"
	if err := packDir(partial, dir); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return os.Rename(partial, output)
}

// packDir writes a directory's files into a tar, in the order of their names.
func packDir(output, dir string) error {
	out, err := os.Create(output)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: rel + "/", Mode: 0o755, ModTime: time.Unix(0, 0)})
		}
		return packFile(w, file, rel)
	})
	return errors.Join(err, w.Close(), out.Close())
}

func packFile(w *tar.Writer, file, rel string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: rel, Size: info.Size(), Mode: 0o644, ModTime: time.Unix(0, 0)}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
