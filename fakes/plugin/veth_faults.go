// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
)

// noteByID is the fault id-as-path.
func (c *call) noteByID() error {
	path := filepath.Join(c.conf.StateDir, "ids", c.env.container)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o600)
}

// noteAmongLogs is the fault record-among-logs.
func (c *call) noteAmongLogs() error {
	const dir = "/var/log/thin"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, c.env.container+"-"+c.env.ifname), c.stdin, 0o600)
}

// onlyOnce is the fault attaches-once: it refuses a container that has an interface of
// the plugin's.
func (c *call) onlyOnce() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if a := l.Attrs(); strings.HasPrefix(a.Name, "thin") && key(a.Alias).container() == c.key().container() {
			return fail(codeFailed, "the container is attached already")
		}
	}
	return nil
}
