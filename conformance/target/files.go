// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// PlacedFile is a file that the daemon needs, written before it starts.
type PlacedFile struct {
	// Path is below the case's directory, or any other absolute path: those
	// exist for the case alone.
	Path string `yaml:"path"`
	// Mode is 0644 unless it says otherwise.
	Mode uint32 `yaml:"mode"`
	// Content is what is in it.
	Content string `yaml:"content"`
}

// Cover makes it possible to write a file outside the case's directory, and
// returns its path without symbolic links: what is written from then on below
// the nearest directory that exists goes to a layer of the case's own. The
// layer is a mount in the case's mount namespace, so the host does not see it,
// and it goes with the case.
func Cover(path, dir string) (string, error) {
	if !suite.Isolated() {
		return "", fmt.Errorf("%s lies outside the case's directory, and this process has no mount namespace of its own", path)
	}
	nearest := filepath.Dir(path)
	for {
		if info, err := os.Stat(nearest); err == nil && info.IsDir() {
			break
		}
		nearest = filepath.Dir(nearest)
	}
	actual, err := filepath.EvalSymlinks(nearest)
	if err != nil {
		return "", err
	}
	rest, err := filepath.Rel(nearest, path)
	if err != nil {
		return "", err
	}
	path = filepath.Join(actual, rest)
	if covered.holds(path) {
		return path, nil
	}
	if actual == "/" {
		return "", fmt.Errorf("%s: the root directory itself cannot be covered; make the directory %s", path, filepath.Dir(path))
	}
	layers, err := os.MkdirTemp(dir, "layer-")
	if err != nil {
		return "", err
	}
	// Layers may not lie on an overlay, which the case's directory may do.
	if err := unix.Mount("tmpfs", layers, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return "", fmt.Errorf("a layer over %s: %w", actual, err)
	}
	upper, work := filepath.Join(layers, "upper"), filepath.Join(layers, "work")
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return "", err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", actual, upper, work)
	if err := unix.Mount("overlay", actual, "overlay", 0, options); err != nil {
		return "", fmt.Errorf("a layer over %s: %w", actual, err)
	}
	covered = append(covered, actual)
	return path, nil
}

// layered are the directories that have a layer in this process's namespace.
type layered []string

var covered layered

func (l layered) holds(path string) bool {
	return slices.ContainsFunc(l, func(dir string) bool { return strings.HasPrefix(path, dir+"/") })
}
