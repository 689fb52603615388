// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"os"
	"path/filepath"
)

// Base is the directory from which relative paths of a target file start: its
// key root, which is itself relative to the file.
func Base(source, root string) (string, error) {
	if filepath.IsAbs(root) {
		return root, nil
	}
	return filepath.Abs(filepath.Join(filepath.Dir(source), root))
}

// Absolute is a path of a target file, of which relative ones start from a
// directory.
func Absolute(base, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// Executable reports why a file cannot be executed.
func Executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory, not an executable", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable", path)
	}
	return nil
}

// Directories are those that have to be visible for files and directories to be
// used, links followed.
func Directories(paths ...string) []string {
	var dirs []string
	for _, p := range paths {
		actual, err := filepath.EvalSymlinks(p)
		for _, one := range []string{p, actual} {
			if info, statErr := os.Stat(one); statErr == nil && !info.IsDir() {
				one = filepath.Dir(one)
			}
			if err == nil && one != "" && one != "/" {
				dirs = append(dirs, one)
			}
		}
	}
	return dirs
}
