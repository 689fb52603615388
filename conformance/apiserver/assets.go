// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// AssetsVariable is the environment variable that names the directory of the
// binaries, by envtest's convention.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// MissingError says which binary was looked for and what brings it.
type MissingError struct {
	// Path is where the binary should have been.
	Path string
}

// Error implements error.
func (e *MissingError) Error() string {
	return fmt.Sprintf("no API server: %s is not there or cannot be executed; build it with: make k8s (or name the directory of etcd and kube-apiserver in %s)",
		e.Path, AssetsVariable)
}

// Assets returns the directory of etcd and kube-apiserver: that of
// KUBEBUILDER_ASSETS, or else fallback. It fails with a MissingError when one
// of them is not there.
func Assets(fallback string) (string, error) {
	dir, err := filepath.Abs(cmp.Or(os.Getenv(AssetsVariable), fallback))
	if err != nil {
		return "", err
	}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		path := filepath.Join(dir, name)
		if _, err := exec.LookPath(path); err != nil {
			return "", &MissingError{Path: path}
		}
	}
	return dir, nil
}
