// SPDX-License-Identifier: Apache-2.0

package inprocess

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/thicket-cni/thicket/conformance"
)

// Bundled returns the target for a program that stands in a directory with the
// shim: conformance/targets/thicket.yaml, written down beside nothing, with
// executables looked for where this program is.
func Bundled() (*Target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(self)
	binaries, err := conformance.ParseTarget(conformance.ThicketTarget, filepath.Join(dir, "thicket.yaml"), filepath.Dir(dir))
	if err != nil {
		return nil, fmt.Errorf("in-process: the shim is the real one, and the installer too: %w", err)
	}
	return New(binaries), nil
}
