// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// done says that a run is over as Sonobuoy's plugins do: a file names the archive
// of the report, which stands beside it. A run that could not be made, by cause, has
// the cause in its archive, for whoever collects it sees nothing else.
func done(file, report string, cause error) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // Sonobuoy's worker, another user, reads there
		return fmt.Errorf("--done: %w", err)
	}
	archive := filepath.Join(dir, "report.tar.gz")
	if err := pack(archive, report, cause); err != nil {
		return fmt.Errorf("--done: %w", err)
	}
	if err := os.WriteFile(file, []byte(archive), 0o644); err != nil { //nolint:gosec // another container reads it
		return fmt.Errorf("--done: %w", err)
	}
	return nil
}

// pack writes the files of a report, as far as there are any, and the cause.
func pack(archive, report string, cause error) (err error) {
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	compressed := gzip.NewWriter(out)
	w := tar.NewWriter(compressed)
	defer func() { err = errors.Join(err, w.Close(), compressed.Close(), out.Close()) }()
	if cause != nil && !errors.Is(cause, errFailed) {
		if err := packFile(w, "error.txt", []byte(cause.Error()+"\n")); err != nil {
			return err
		}
	}
	for _, name := range []string{"junit.xml", "report.json", "report.yaml", "report.html"} {
		content, err := os.ReadFile(filepath.Join(report, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := packFile(w, name, content); err != nil {
			return err
		}
	}
	return nil
}

func packFile(w *tar.Writer, name string, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}
