// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// modules finds a kernel's modules by name. Programs of the machine load none
// themselves: nothing there knows the names' other forms.
type modules map[string]string

// findModules looks for all below a directory, as a package of the kernel has
// them.
func findModules(dir string) (modules, error) {
	m := modules{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, is := strings.CutSuffix(filepath.Base(path), ".ko"); err == nil && is {
			m[normalized(name)] = path
		}
		return err
	})
	if err == nil && len(m) == 0 {
		err = fmt.Errorf("%s has no modules that are not compressed (*.ko)", dir)
	}
	return m, err
}

// normalized is a module's name as the kernel has it: a file may have either.
func normalized(name string) string { return strings.ReplaceAll(name, "-", "_") }

// inOrder returns the files of modules and of those that they need, each after
// what it needs. One that there is not is built into the kernel, or an error when
// somebody loads what needs it.
func (m modules) inOrder(names ...string) ([]string, error) {
	var files []string
	for _, name := range names {
		path, found := m[normalized(name)]
		if !found || slices.Contains(files, path) {
			continue
		}
		needs, err := needsOf(path)
		if err != nil {
			return nil, err
		}
		before, err := m.inOrder(needs...)
		if err != nil {
			return nil, err
		}
		for _, file := range append(before, path) {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files, nil
}

// needsOf are the modules that one needs, as its section .modinfo says.
func needsOf(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%s has no section .modinfo", path)
	}
	data, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var needs []string
	for entry := range bytes.SplitSeq(data, []byte{0}) {
		if list, is := bytes.CutPrefix(entry, []byte("depends=")); is && len(list) > 0 {
			needs = append(needs, strings.Split(string(list), ",")...)
		}
	}
	return needs, nil
}
