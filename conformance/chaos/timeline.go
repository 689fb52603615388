// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"sync"
	"time"
)

// kind is what a disturbance means for a request that meets it. Kinds can be
// joined by |.
type kind int

const (
	// away means that the daemon is not there, ends, or seems not to be there.
	away kind = 1 << iota
	// stopped means that the daemon does nothing for a moment. It is a reason to
	// be late, and none to fail.
	stopped
	// readOnly means that the daemon's directory cannot be written. What changes
	// nothing has to go on.
	readOnly
)

// timeline is what has disturbed the daemon so far.
type timeline struct {
	began time.Time
	mu    sync.Mutex
	all   []disturbance
}

// disturbance is one of them. Its end is zero while it lasts.
type disturbance struct {
	kind     kind
	what     string
	from, to time.Time
}

// begin notes that a disturbance begins; end notes that it is over.
func (t *timeline) begin(k kind, what string) (end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := len(t.all)
	t.all = append(t.all, disturbance{kind: k, what: what, from: time.Now()})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all[at].to = time.Now()
	}
}

// since returns the kinds of what has disturbed the daemon at a moment or later.
func (t *timeline) since(moment time.Time) kind {
	var kinds kind
	for _, d := range t.after(moment) {
		kinds |= d.kind
	}
	return kinds
}

// story tells in words what has disturbed the daemon at a moment or later.
func (t *timeline) story(moment time.Time) []string {
	var lines []string
	for _, d := range t.after(moment) {
		lines = append(lines, t.tell(&d))
	}
	return lines
}

// last tells of the last disturbance.
func (t *timeline) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tell(&t.all[len(t.all)-1])
}

func (t *timeline) tell(d *disturbance) string {
	line := fmt.Sprintf("%.2f s: %s", d.from.Sub(t.began).Seconds(), d.what)
	if !d.to.IsZero() {
		line += fmt.Sprintf(", until %.2f s", d.to.Sub(t.began).Seconds())
	}
	return line
}

func (t *timeline) after(moment time.Time) []disturbance {
	t.mu.Lock()
	defer t.mu.Unlock()
	var some []disturbance
	for _, d := range t.all {
		if d.to.IsZero() || !d.to.Before(moment) {
			some = append(some, d)
		}
	}
	return some
}
