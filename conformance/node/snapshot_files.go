// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// volatile are settings that change by themselves.
var volatile = []string{"net.netfilter.nf_conntrack_count", "net.ipv4.tcp_fastopen_key"}

// sysctls describes the settings of the calling thread's network namespace.
func sysctls() ([]string, error) {
	var lines []string
	err := filepath.WalkDir("/proc/sys/net", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return skipMissing(err)
		}
		name := strings.ReplaceAll(strings.TrimPrefix(path, "/proc/sys/"), "/", ".")
		info, err := entry.Info()
		if err != nil {
			return skipMissing(err)
		}
		if slices.Contains(volatile, name) || info.Mode()&0o400 == 0 {
			return nil
		}
		value, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // some cannot be read before they were written
		}
		lines = append(lines, fmt.Sprintf("sysctl %s = %s", name, strings.Join(strings.Fields(string(value)), " ")))
		return nil
	})
	return lines, err
}

func skipMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// written lists the files that somebody wrote in the root. own are the suite's.
func (r *Root) written(own []string) ([]string, error) {
	var lines []string
	err := r.each(own, func(path, name string, entry fs.DirEntry) error {
		line, err := describeFile(path, name, entry)
		if line != "" {
			lines = append(lines, line)
		}
		return err
	})
	return lines, err
}

// each calls do with what somebody wrote in the root: with where it is and its name
// in the root. What is at the names of except, or below them, is left out.
func (r *Root) each(except []string, do func(path, name string, entry fs.DirEntry) error) error {
	places := map[string]string{r.upper: "/", r.Dir: r.Dir}
	for _, dir := range emptied {
		places[dir] = dir
	}
	for at, shown := range places {
		err := filepath.WalkDir(at, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return skipMissing(err)
			}
			name := filepath.Join(shown, strings.TrimPrefix(path, at))
			bound := at != r.Dir && slices.Contains(r.bound, name)
			if bound || slices.Contains(except, name) {
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			return skipMissing(do(path, name, entry))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Keep copies what somebody wrote in the root below a directory: each file under the
// name that it has in the root, the case's own directory as "case".
func (r *Root) Keep(to string) error {
	var missed []error
	err := r.each(nil, func(path, name string, entry fs.DirEntry) error {
		if rest, own := strings.CutPrefix(name, r.Dir); own {
			name = "/case" + rest
		}
		at := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return err
		}
		missed = append(missed, suite.CopyEntry(path, at, entry.Type()))
		return nil
	})
	return errors.Join(append(missed, err)...)
}

// describeFile is one file with its mode and content; directories are left out,
// an empty one is nothing.
func describeFile(path, name string, entry fs.DirEntry) (string, error) {
	info, err := entry.Info()
	if err != nil || entry.IsDir() {
		return "", err
	}
	line := fmt.Sprintf("file %s %s", name, info.Mode())
	switch {
	case entry.Type()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		return line + " to " + to, err
	case entry.Type()&fs.ModeCharDevice != 0 && info.Size() == 0:
		return fmt.Sprintf("file %s is removed or a device", name), nil
	case !entry.Type().IsRegular() || info.Size() > 8<<20:
		return fmt.Sprintf("%s of %d bytes", line, info.Size()), nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if len(content) <= 60 {
		return fmt.Sprintf("%s %q", line, content), nil
	}
	sum := sha256.Sum256(content)
	return fmt.Sprintf("%s of %d bytes, sha256 %x", line, len(content), sum[:4]), nil
}
