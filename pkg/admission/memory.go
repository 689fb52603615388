// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// refresh is how often the cgroup's limit is read again: an operator may
	// raise it while the daemon runs.
	refresh = 2 * time.Second
	// heapShare is the part of the limit that the daemon's own heap may grow to
	// before its garbage collector works harder; the plugins need the rest.
	heapShare = 0.5
	// ownLeast is what the daemon is expected to use at least, in bytes.
	ownLeast = 20 << 20
	// spareShare is left free for the kernel's own accounting: sockets, page
	// tables and the plugins' files.
	spareShare = 10
)

// FollowMemory sets the runtime's soft memory limit (GOMEMLIMIT) from the
// cgroup's and follows its changes until ctx ends. A GOMEMLIMIT that is set in
// the environment stays.
func FollowMemory(ctx context.Context, log *slog.Logger) error {
	_, err := memlimit.Set(memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithRatio(heapShare),
		memlimit.WithMin(ownLeast), memlimit.WithRefreshInterval(ctx, refresh), memlimit.WithLogger(log))
	if err != nil {
		return fmt.Errorf("memory limit of the cgroup: %w", err)
	}
	return nil
}

// CgroupBudget returns what plugins may use together, in bytes, for
// Options.Budget: the memory limit of this process' cgroup (version 1 or 2)
// without what the daemon needs itself. It is 0 where there is no limit.
func CgroupBudget() func() int64 {
	var mu sync.Mutex
	var read time.Time
	var budget int64
	return func() int64 {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(read) > refresh {
			read, budget = now, budgetOf(limit(), resident())
		}
		return budget
	}
}

// budgetOf is never 0 for a limit that exists: that would mean no bound.
func budgetOf(limit, own int64) int64 {
	if limit <= 0 {
		return 0
	}
	return max(1, limit-limit/spareShare-max(own, ownLeast))
}

func limit() int64 {
	bytes, err := memlimit.FromCgroup()
	if err != nil || bytes > math.MaxInt64/2 {
		return 0
	}
	return int64(bytes)
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
