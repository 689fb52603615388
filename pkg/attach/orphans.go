// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

const (
	// orphanPatience is how long a killed delegate may take to be gone.
	orphanPatience = 5 * time.Second
	// commLength is how much of an executable's name the kernel keeps.
	commLength = 15
)

// stopOrphans ends the delegates that a killed daemon left running for a
// sandbox. One that attaches after the replay's DEL would leave what nobody
// knows of (RES-01). The container's lock is held, so none of them is ours.
func (e *Engine) stopOrphans(ctx context.Context, rec *ledger.Record) error {
	types := pluginTypes(rec)
	ctx, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	for {
		pids := delegatesOf(rec.ContainerID, types)
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			e.log.Warn("ending a delegate that a former daemon left", "sandbox", rec.ContainerID, "pid", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("delegates of a former daemon do not end: pids %v", pids)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// pluginTypes are the executables that a record's configurations name: plugins,
// and the IPAM plugins that they execute themselves.
func pluginTypes(rec *ledger.Record) []string {
	var types []string
	add := func(t string) {
		if t != "" {
			types = append(types, t[:min(len(t), commLength)])
		}
	}
	for _, a := range rec.Attachments {
		list, err := libcni.NetworkConfFromBytes([]byte(a.Config))
		if err != nil {
			continue // detach reports it
		}
		for _, p := range list.Plugins {
			add(p.Network.Type)
			add(p.Network.IPAM.Type)
		}
	}
	return types
}

// delegatesOf finds the processes that run one of the plugins for a container.
// The environment alone would also fit a shim that waits for this daemon.
func delegatesOf(containerID string, types []string) []int {
	entries, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil
	}
	var pids []int
	for _, comm := range entries {
		name, err := os.ReadFile(comm)
		if err != nil || !slices.Contains(types, strings.TrimSpace(string(name))) {
			continue
		}
		dir := filepath.Dir(comm)
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), "CNI_CONTAINERID="+containerID) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
