// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// entry is what a path of the image holds: a file of this machine, or a symlink.
type entry struct{ source, link string }

// entriesOf reads the SOURCE=PATH and PATH=TARGET arguments.
func entriesOf(files, links []string) (map[string]entry, error) {
	entries := map[string]entry{}
	add := func(at string, e entry) error {
		if !path.IsAbs(at) || path.Clean(at) != at || at == "/" {
			return fmt.Errorf("%q is not a clean absolute path", at)
		}
		if _, twice := entries[at]; twice {
			return fmt.Errorf("%s is given twice", at)
		}
		entries[at] = e
		return nil
	}
	for _, arg := range files {
		source, at, ok := strings.Cut(arg, "=")
		if !ok || source == "" {
			return nil, fmt.Errorf("%q: want SOURCE=PATH", arg)
		}
		if err := add(at, entry{source: source}); err != nil {
			return nil, fmt.Errorf("%q: %w", arg, err)
		}
	}
	for _, arg := range links {
		at, target, ok := strings.Cut(arg, "=")
		if !ok || target == "" {
			return nil, fmt.Errorf("--link %q: want PATH=TARGET", arg)
		}
		if err := add(at, entry{link: target}); err != nil {
			return nil, fmt.Errorf("--link %q: %w", arg, err)
		}
	}
	return entries, nil
}

// layerOf packs the entries, with the directories above them, as root's and
// without times: what they were on this machine is nobody's business.
func layerOf(entries map[string]entry) (v1.Layer, error) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	made := map[string]bool{"/": true, ".": true}
	for _, at := range slices.Sorted(maps.Keys(entries)) {
		if err := writeParents(w, path.Dir(at), made); err != nil {
			return nil, err
		}
		if err := writeEntry(w, at, entries[at]); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	// Speed before size: the archive goes to nodes of this machine.
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestSpeed))
}

func writeParents(w *tar.Writer, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := writeParents(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755, ModTime: time.Unix(0, 0)})
}

func writeEntry(w *tar.Writer, at string, e entry) error {
	header := &tar.Header{Name: strings.TrimPrefix(at, "/"), ModTime: time.Unix(0, 0)}
	if e.link != "" {
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.link, 0o777
		return w.WriteHeader(header)
	}
	f, err := os.Open(e.source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", e.source)
	}
	header.Typeflag, header.Size, header.Mode = tar.TypeReg, info.Size(), 0o644
	if info.Mode()&0o111 != 0 {
		header.Mode = 0o755
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// imageOf is an image of one layer.
func imageOf(layer v1.Layer, config *v1.ConfigFile) (v1.Image, error) {
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		return nil, err
	}
	written, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.RootFS, config.History = written.RootFS, written.History
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	return mutate.ConfigMediaType(image, types.OCIConfigJSON), nil
}
