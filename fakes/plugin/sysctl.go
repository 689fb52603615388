// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// record is what the settings were before ADD, by path.
type record struct {
	Before map[string]string `json:"before"`
}

// expand is the file of a setting, whose name may have dots or slashes. Only the
// network's are a container's own.
func expand(name, ifname string) (string, error) {
	path := name
	if !strings.Contains(path, "/") {
		path = strings.ReplaceAll(path, ".", "/")
	}
	path = filepath.Join("/proc/sys", strings.ReplaceAll(path, "IFNAME", ifname))
	if !strings.HasPrefix(path, "/proc/sys/net/") {
		return "", fail(codeConfig, "sysctl %s is not one of a network namespace", name)
	}
	return path, nil
}

// set remembers what the settings are, and then sets them.
func (c *call) set(ns *namespace) error {
	return ns.do(func() error {
		paths, r := map[string]string{}, record{Before: map[string]string{}}
		for name, value := range c.conf.Sysctl {
			path, err := sysctlPath(name, c.env.ifname)
			if err != nil {
				return err
			}
			before, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("sysctl %s: %w", name, err)
			}
			paths[path], r.Before[path] = value, strings.TrimSpace(string(before))
		}
		if err := c.writeRecord(r); err != nil {
			return err
		}
		return write(paths)
	})
}

func write(values map[string]string) error {
	var failed error
	for path, value := range values {
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			failed = errors.Join(failed, fmt.Errorf("sysctl %s: %w", path, err))
		}
	}
	return failed
}

// writeRecord keeps the first record of an attachment: a later one would say
// what ADD itself has set.
func (c *call) writeRecord(r record) error {
	return locked(c.conf.StateDir, func() error {
		path := c.recordPath()
		if _, err := c.readRecord(); err == nil {
			return nil
		}
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
			return err
		}
		return os.Rename(path+".tmp", path)
	})
}

func (c *call) readRecord() (*record, error) {
	var r record
	data, err := os.ReadFile(c.recordPath())
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return &r, err
}

// restore sets what the record says, where namespace and setting are still
// there, and forgets it.
func (c *call) restore() error {
	r, err := c.readRecord()
	if errors.Is(err, fs.ErrNotExist) {
		return c.forget()
	}
	if err == nil && len(r.Before) > 0 && c.env.netns != "" {
		if ns, gone := c.openNamespace(); gone == nil {
			err = ns.do(func() error {
				for path := range r.Before {
					if _, err := os.Stat(path); err != nil {
						delete(r.Before, path)
					}
				}
				return write(r.Before)
			})
			_ = ns.Close()
		}
	}
	// A record that cannot be read is of no use to anybody.
	return errors.Join(err, c.forget())
}

// forget removes the attachment's record, and what a killed ADD left of one.
func (c *call) forget() error {
	return c.forgetStale(func(k key) bool { return k == c.key() })
}

// forgetStale removes the records of attachments that f chooses.
func (c *call) forgetStale(f func(key) bool) error {
	return locked(c.conf.StateDir, func() error {
		entries, err := os.ReadDir(c.conf.StateDir)
		for _, e := range entries {
			if f(key(strings.TrimSuffix(e.Name(), ".tmp"))) {
				err = errors.Join(err, os.Remove(filepath.Join(c.conf.StateDir, e.Name())))
			}
		}
		return err
	})
}

// checkSettings compares the settings with what ADD has set.
func (c *call) checkSettings(ns *namespace) error {
	return ns.do(func() error {
		for name, value := range c.conf.Sysctl {
			path, err := sysctlPath(name, c.env.ifname)
			if err != nil {
				return err
			}
			now, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("sysctl %s: %w", name, err)
			}
			if !slices.Equal(strings.Fields(string(now)), strings.Fields(value)) {
				return fail(codeFailed, "sysctl %s is %s, not %s", name, strings.TrimSpace(string(now)), value)
			}
		}
		return nil
	})
}
