// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/network"
)

// settle is how long a configuration that was removed is watched: a daemon that
// still runs writes it again within restorePause.
const settle = 3 * restorePause

// Uninstall removes the configurations of dir that a daemon generated for a shim
// of this type, and returns their paths. A configuration of another name that
// calls the shim was made by somebody else; as long as there is one, and when a
// daemon writes its own again, Uninstall fails: without the shim no pod of the
// node could start.
func Uninstall(ctx context.Context, dir, shimType string) (removed []string, err error) {
	files, err := network.Files(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		calls := callsShim(path, shimType)
		switch name := filepath.Base(path); {
		case calls && (name == FileName || name == chainedName):
			removed = append(removed, path)
		case calls:
			return nil, fmt.Errorf("%s calls %s too, and was not generated: remove it, or have it call another plugin, first", path, shimType)
		}
	}
	for i, path := range removed {
		if err := os.Remove(path); err != nil {
			return removed[:i], err
		}
	}
	return removed, stayAway(ctx, removed)
}

// callsShim reports whether a configuration's first plugin is the shim.
func callsShim(path, shimType string) bool {
	config, err := network.ReadFile(path)
	if err != nil {
		return false
	}
	list, err := libcni.NetworkConfFromBytes(config)
	return err == nil && len(list.Plugins) > 0 && list.Plugins[0].Network.Type == shimType
}

// stayAway is an error when a removed file comes back.
func stayAway(ctx context.Context, removed []string) error {
	if len(removed) == 0 {
		return nil
	}
	tick := time.NewTicker(restorePause / 10)
	defer tick.Stop()
	late := time.After(settle)
	for {
		for _, path := range removed {
			if _, err := os.Lstat(path); err == nil {
				return fmt.Errorf("%s was written again: a daemon still runs; delete its DaemonSet and begin anew", path)
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), fmt.Errorf("interrupted after removing %s", strings.Join(removed, ", ")))
		case <-late:
			return nil
		case <-tick.C:
		}
	}
}
