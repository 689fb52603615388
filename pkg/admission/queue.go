// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"slices"
	"time"
)

// The ranks of the commands: the lower one goes first.
const (
	// rankDEL frees what others may be waiting for.
	rankDEL = iota
	// rankStatus is what somebody looks at the node's health by.
	rankStatus
	rankADD
)

func rank(command string) int {
	switch command {
	case "DEL", "GC":
		return rankDEL
	case "ADD", "CHECK":
		return rankADD
	}
	return rankStatus
}

// waiter is a plugin that may not run yet, or runs.
type waiter struct {
	rank   int
	number uint64
	plugin string
	owner  Owner
	// keys are what it is suspected by.
	keys []string
	// suspect is whether it is kept back, as of the last decision.
	suspect bool
	// cost is what it was let in for, in bytes, and began when.
	cost  int64
	began time.Time
	ready chan struct{}
}

// queue is those who wait. It has as many as requests may wait, some hundred.
type queue []*waiter

// remove takes a waiter out, and reports whether it was there.
func (q *queue) remove(w *waiter) bool {
	at := slices.Index(*q, w)
	if at < 0 {
		return false
	}
	*q = slices.Delete(*q, at, at+1)
	return true
}
