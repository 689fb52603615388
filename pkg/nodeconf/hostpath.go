// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"os"
	"path/filepath"
	"strings"
)

// HostPath returns how the host calls a path that the daemon's container has
// under another one, /run/multus for /host/run/multus: the tail of path below
// which chroot, where the host's root is mounted, has the same directory. ok
// is false when there is none; an empty chroot means that the daemon sees the
// host as it is.
func HostPath(path, chroot string) (host string, ok bool) {
	path = filepath.Clean(path)
	if chroot == "" || filepath.Clean(chroot) == "/" {
		return path, true
	}
	here, err := os.Stat(path)
	if err != nil {
		return "", false
	}
	candidates := []string{path}
	if below, found := strings.CutPrefix(path, filepath.Clean(chroot)+"/"); found {
		candidates = append(candidates, "/"+below)
	}
	for rest := path[1:]; ; {
		_, tail, more := strings.Cut(rest, "/")
		if !more {
			break
		}
		candidates, rest = append(candidates, "/"+tail), tail
	}
	for _, candidate := range candidates {
		there, err := os.Stat(filepath.Join(chroot, candidate))
		if err == nil && os.SameFile(here, there) {
			return candidate, true
		}
	}
	return "", false
}
