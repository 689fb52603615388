// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/thicket-cni/thicket/conformance/vm/event"
)

// initramfs writes the machine's first file system and returns its path.
func (o *Options) initramfs() (string, error) {
	found, err := findModules(o.Parts.Modules)
	if err != nil {
		return "", err
	}
	files, err := found.inOrder(append(base[:len(base):len(base)], o.Kinds...)...)
	if err != nil {
		return "", err
	}
	var all bytes.Buffer
	a := newArchive(&all)
	boot := event.Boot{Disks: []event.Disk{{Device: "/dev/vda", At: ProgramsAt, ReadOnly: true}}, Read: o.Read}
	for _, file := range append([]string{o.Guest}, files...) {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		name := "init"
		if file != o.Guest {
			name = "modules/" + filepath.Base(file)
			boot.Modules = append(boot.Modules, "/"+name)
		}
		a.file(name, content)
	}
	shell, err := os.ReadFile(o.Shell)
	if err != nil {
		return "", err
	}
	a.file("bin/sh", shell)
	// The kernel opens its console for the first process before that can make one.
	a.device("dev/console", 5, 1)
	text, err := json.Marshal(boot)
	if err != nil {
		return "", err
	}
	a.file(strings.TrimPrefix(event.BootFile, "/"), text)
	if err := a.end(); err != nil {
		return "", err
	}
	path := filepath.Join(o.Dir, "initramfs")
	return path, os.WriteFile(path, all.Bytes(), 0o600)
}
