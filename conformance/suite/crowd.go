// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// DefaultProcesses is how many processes a case may have at once that says
// nothing else: twice what 150 ADDs at once need by a daemon that lets all of
// them run.
const DefaultProcesses = 600

// crowdPeriod is how often a case's processes are counted.
const crowdPeriod = 200 * time.Millisecond

// crowd counts a case's processes, and ends them when there are too many: a
// subject that starts itself over and over must not take the machine with it. A
// count needs no cgroup, and knows what it has counted.
type crowd struct {
	limit int
	over  func(what string)

	mu   sync.Mutex
	peak int
	hit  string
	stop chan struct{}
	done sync.WaitGroup
}

// watchCrowd calls over, once, when there are more processes than the limit; they
// are ended then, and those that come later, too.
func watchCrowd(limit int, over func(what string)) *crowd {
	c := &crowd{limit: limit, over: over, stop: make(chan struct{})}
	if !ownNamespace() {
		return c // processes of others are seen, and must not be ended
	}
	c.done.Go(func() {
		tick := time.NewTicker(crowdPeriod)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.look()
			case <-c.stop:
				return
			}
		}
	})
	return c
}

// ownNamespace reports whether all processes that can be seen are the case's: the
// first of them is this program, as the suite starts it.
func ownNamespace() bool {
	first, err := os.Stat("/proc/1/exe")
	if err != nil || !Isolated() || os.Getppid() != 1 {
		return false
	}
	self, err := os.Stat("/proc/self/exe")
	return err == nil && os.SameFile(first, self)
}

func (c *crowd) look() {
	n := countProcesses()
	c.mu.Lock()
	c.peak = max(c.peak, n)
	first := c.hit == "" && n > c.limit
	if first {
		c.hit = fmt.Sprintf("more than %d processes at once (%d, most of them %s); they were ended", c.limit, n, mostOf())
	}
	hit := c.hit
	c.mu.Unlock()
	if n > c.limit {
		_ = syscall.Kill(-1, syscall.SIGKILL) // all but this one and the first
	}
	if first {
		c.over(hit)
	}
}

// end stops counting. It returns the most that there were, and what was said when
// there were too many.
func (c *crowd) end() (peak int, hit string) {
	close(c.stop)
	c.done.Wait()
	return c.peak, c.hit
}

func countProcesses() int {
	n := 0
	eachProcess(func(int) { n++ })
	return n
}

func eachProcess(f func(pid int)) {
	dir, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1) // some are better than none
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			f(pid)
		}
	}
}

// mostOf names the commands of which there are most: "900 × shim, 12 × sh".
func mostOf() string {
	count := map[string]int{}
	eachProcess(func(pid int) {
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
			count[strings.TrimSpace(string(name))]++
		}
	})
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return cmp.Or(count[b]-count[a], strings.Compare(a, b)) })
	var parts []string
	for _, name := range names[:min(3, len(names))] {
		parts = append(parts, fmt.Sprintf("%d × %s", count[name], name))
	}
	return strings.Join(parts, ", ")
}
