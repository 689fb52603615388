// SPDX-License-Identifier: Apache-2.0

package admission

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
	// cost is what it was let in for, in bytes.
	cost int64
	// place is its index in the queue, -1 when it has left it.
	place int
	ready chan struct{}
}

// queue is a heap of waiters (container/heap), by rank and then by arrival.
type queue []*waiter

// Len implements heap.Interface.
func (q queue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q queue) Less(i, j int) bool {
	if q[i].rank != q[j].rank {
		return q[i].rank < q[j].rank
	}
	return q[i].number < q[j].number
}

// Swap implements heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	w := x.(*waiter)
	w.place = len(*q)
	*q = append(*q, w)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	w.place = -1
	return w
}
