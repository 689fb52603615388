// SPDX-License-Identifier: Apache-2.0

package site

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/report"
)

// Implementation is one that has published reports.
type Implementation struct {
	// Name is the name of its directory.
	Name string
	// Versions are those that were judged, the last one first; never empty.
	Versions []Version
}

// Version is one version of an implementation.
type Version struct {
	// Name is the name of its directory.
	Name string
	*report.Report
}

// Last is the version that was judged last.
func (i *Implementation) Last() Version { return i.Versions[0] }

// maxReport bounds a published report, in bytes. What helps to mend a failure
// (logs, calls, steps) is not for publishing: see report.Abridge.
const maxReport = 4 << 20

// name is the form of a directory's name: it is a part of addresses, too.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

// CheckName returns an error when an implementation or a version cannot have that
// name.
func CheckName(s string) error {
	if !name.MatchString(s) {
		return fmt.Errorf("%q cannot be a directory's name here: want letters, digits and . _ + -", s)
	}
	return nil
}

// Load reads the reports of a directory, each at
// <implementation>/<version>/report.json. Anything else below an implementation is
// an error, for a report that is not where it is looked for would be missing from
// the pages. Files beside the implementations, such as a README, are passed over.
func Load(dir string) ([]*Implementation, error) {
	below, err := directories(dir)
	if err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	var all []*Implementation
	for _, of := range below {
		i, err := load(filepath.Join(dir, of), of)
		if err != nil {
			return nil, fmt.Errorf("reports: %w", err)
		}
		all = append(all, i)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("reports: %s has none: want %s", dir, filepath.Join(dir, "<implementation>", "<version>", "report.json"))
	}
	return all, nil
}

func load(dir, of string) (*Implementation, error) {
	versions, err := directories(dir)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("%s has no version: want %s", dir, filepath.Join(dir, "<version>", "report.json"))
	}
	i := &Implementation{Name: of}
	for _, version := range versions {
		r, err := read(filepath.Join(dir, version, "report.json"), version)
		if err != nil {
			return nil, err
		}
		i.Versions = append(i.Versions, Version{version, r})
	}
	slices.SortFunc(i.Versions, func(a, b Version) int { return cmp.Or(b.Started.Compare(a.Started), strings.Compare(b.Name, a.Name)) })
	return i, nil
}

// read reads one report and asks whether it may be published.
func read(path, version string) (*report.Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxReport {
		return nil, fmt.Errorf("%s has %d bytes, and %d are the most: thicket-conformance publish leaves out logs, calls and steps", path, info.Size(), maxReport)
	}
	r, err := report.ReadReport(path)
	if err != nil {
		return nil, err
	}
	if err := r.Publishable(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if told := r.Version(); !strings.Contains(told, version) {
		return nil, fmt.Errorf("%s: the report is of version %q, and its directory is called %s", path, told, version)
	}
	return r, nil
}

// directories are the names of those in a directory, in their order.
func directories(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if err := CheckName(e.Name()); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		names = append(names, e.Name())
	}
	return names, nil
}
