// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/thicket-cni/thicket/conformance/targets"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Bundled returns the target for a program that stands beside the shim and the
// installer: the suite's own target file, with their directory in place of bin/.
func Bundled() (*Target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(self)
	file := bytes.ReplaceAll(targets.Thicket, []byte("bin/"), nil)
	binaries, err := thick.ParseTarget(file, "thicket.yaml", dir)
	if err != nil {
		return nil, fmt.Errorf("in-process: the shim is the real one, and the installer too: %w", err)
	}
	return New(binaries), nil
}
