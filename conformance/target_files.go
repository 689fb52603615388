// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// placedFile is a file that the daemon needs, written before it starts.
type placedFile struct {
	// Path is below the case's directory, or any other absolute path: those
	// exist for the case alone.
	Path    string `yaml:"path"`
	Mode    uint32 `yaml:"mode"`
	Content string `yaml:"content"`
}

func (t *yamlTarget) place(f placedFile, p Paths) error {
	path, err := t.render("daemon.files.path", f.Path, p)
	if err != nil {
		return err
	}
	content, err := t.render("daemon.files.content", f.Content, p)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(path) {
		return fmt.Errorf("daemon.files: %s is a relative path; begin it with {{.Dir}} or with /", path)
	}
	if !strings.HasPrefix(filepath.Clean(path), p.Dir+"/") {
		if path, err = cover(path, p.Dir); err != nil {
			return fmt.Errorf("daemon.files: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(f.Mode)
	if mode == 0 {
		mode = 0o644
	}
	return os.WriteFile(path, []byte(content), mode)
}

// cover makes it possible to write a file outside the case's directory, and
// returns its path without symbolic links: what is written from then on below
// the nearest directory that exists goes to a layer of the case's own. The
// layer is a mount in the case's mount namespace, so the host does not see it,
// and it goes with the case.
func cover(path, dir string) (string, error) {
	if !isolated() {
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
