// SPDX-License-Identifier: Apache-2.0

package site

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/thicket-cni/thicket/conformance/report"
)

// Publish writes a report, abridged, to where Load looks for it below a directory,
// and returns the file's path. An empty name is the report's project or target; an
// empty version is all that the report says of it. Where the report says none, the
// version is written into it.
func Publish(r *report.Report, dir, name, version string) (string, error) {
	if err := r.Publishable(); err != nil {
		return "", err
	}
	name = cmp.Or(name, r.Implementation.Project, r.Target.Name)
	if err := CheckName(name); err != nil {
		return "", fmt.Errorf("the implementation's name (--name): %w", err)
	}
	version = cmp.Or(version, r.Version())
	if err := CheckName(version); err != nil {
		return "", fmt.Errorf("the implementation's version (--version): %w", err)
	}
	short := r.Abridge()
	if r.Version() == "" {
		short.Implementation.Version = version
	}
	if !strings.Contains(short.Version(), version) {
		return "", fmt.Errorf("the report is of version %q, and not of %s (--version)", r.Version(), version)
	}
	data, err := short.JSON()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name, version, "report.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, 0o644)
}
