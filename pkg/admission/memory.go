// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/thicket-cni/thicket/pkg/cgroup"
)

const (
	// refresh is how often the cgroup's limit is read again: an operator may
	// raise it while the daemon runs.
	refresh = 2 * time.Second
	// budgetRefresh is the same for the plugins' budget: what the kernel needs for
	// their interfaces grows by some MiB a second in a storm.
	budgetRefresh = 250 * time.Millisecond
	// heapShare is the part of the limit that the daemon's own heap may grow to
	// before its garbage collector works harder; the plugins need the rest.
	heapShare = 0.5
	// ownLeast is what the daemon is expected to use at least, in bytes.
	ownLeast = 20 << 20
	// spareShare of what the kernel does not have yet is left free, for what is not
	// measured all the time: sockets, page tables and the plugins' files.
	spareShare = 10
)

// FollowMemory sets the runtime's soft memory limit (GOMEMLIMIT) from what of the
// cgroup's limit the kernel does not have, and follows its changes until ctx ends. A
// GOMEMLIMIT that is set in the environment stays.
func FollowMemory(ctx context.Context, log *slog.Logger) error {
	_, err := memlimit.Set(memlimit.WithProvider(ofProcesses), memlimit.WithRatio(heapShare),
		memlimit.WithMin(ownLeast), memlimit.WithRefreshInterval(ctx, refresh), memlimit.WithLogger(log))
	if err != nil {
		return fmt.Errorf("memory limit of the cgroup: %w", err)
	}
	return nil
}

// ofProcesses is the cgroup's limit without what the kernel has of it, in bytes, in
// steps that are worth a line in the log.
func ofProcesses() (uint64, error) {
	const step = 4 << 20
	bytes, err := memlimit.FromCgroup()
	if err != nil {
		return 0, err
	}
	of := uint64(kernel()) / step * step //nolint:gosec // it is not negative
	return bytes - min(bytes, of), nil
}

// CgroupBudget returns what plugins may use together, in bytes, for
// Options.Budget: the memory limit of this process' cgroup (version 1 or 2)
// without what the daemon needs itself, and the kernel for what is attached. Without a
// limit it is 0.
func CgroupBudget() func() int64 {
	var mu sync.Mutex
	var read, reckoned time.Time
	var most, budget int64
	return func() int64 {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if now.Sub(read) > refresh {
			read, most = now, limit()
		}
		switch {
		case most <= 0:
			budget = 0
		case now.Sub(reckoned) > budgetRefresh:
			reckoned, budget = now, budgetOf(most, resident(), kernel())
		}
		return budget
	}
}

// budgetOf is never 0 for a limit that exists: that would mean no bound.
func budgetOf(limit, own, kernel int64) int64 {
	if limit <= 0 {
		return 0
	}
	free := limit - kernel
	return max(1, free-free/spareShare-max(own, ownLeast))
}

func limit() int64 {
	bytes, err := memlimit.FromCgroup()
	if err != nil || bytes > math.MaxInt64/2 {
		return 0
	}
	return int64(bytes)
}

// ownMemory finds the daemon's cgroup once: mountinfo is long on a node of many pods.
var ownMemory = sync.OnceValues(func() (file string, v2 bool) {
	dir, v2, err := cgroup.Memory()
	switch {
	case err != nil:
		return "", false
	case v2:
		return filepath.Join(dir, "memory.stat"), true
	}
	return filepath.Join(dir, "memory.kmem.usage_in_bytes"), false
})

// kernel is what the kernel has of the cgroup's memory, in bytes, and would not give
// back; 0 where it does not say. It accounts each interface to the cgroup that it was
// made from, as long as it exists: some 75 KiB for one of the plugin bridge. Version 1
// counts what could be given back, too, so that a daemon that has run for long lets
// fewer plugins run at a time there.
func kernel() int64 {
	file, v2 := ownMemory()
	if file == "" {
		return 0
	}
	text, err := os.ReadFile(file)
	switch {
	case err != nil:
		return 0
	case v2:
		return kernelOf(string(text))
	}
	bytes, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return bytes
}

// kernelOf reads it from memory.stat of version 2, which has the sum since Linux 5.18.
func kernelOf(stat string) int64 {
	values := map[string]int64{}
	for line := range strings.Lines(stat) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		values[key], _ = strconv.ParseInt(value, 10, 64)
	}
	if sum, said := values["kernel"]; said {
		return max(0, sum-values["slab_reclaimable"])
	}
	return values["slab_unreclaimable"] + values["kernel_stack"] + values["pagetables"] + values["percpu"]
}

// resident is this process' memory, in bytes, 0 when it cannot be read.
func resident() int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

const (
	// turnSize is the memory that a request with large configurations may cost.
	turnSize = 32 << 20
	// mostTurns is how many of them are served at once where memory is not limited.
	mostTurns = 32
)

// LargeTurns returns how many requests with large configurations may be served
// at a time within the memory limit of this process' cgroup (SEC-06).
func LargeTurns() int {
	bytes := limit()
	if bytes <= 0 {
		return mostTurns
	}
	return int(min(max(1, bytes/turnSize), mostTurns))
}

// CacheBudget returns how many bytes of what tenants write may be remembered
// within that limit. What is over it is looked up when it is asked for.
func CacheBudget() int {
	const share, unlimited = 16, 64 << 20
	bytes := limit()
	if bytes <= 0 {
		return unlimited
	}
	return int(min(bytes/share, unlimited))
}
