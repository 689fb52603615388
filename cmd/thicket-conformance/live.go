// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// watcher shows how far a run is: on a terminal one line that changes, with what
// did not pass above it, and elsewhere a line for each case.
type watcher struct {
	out io.Writer
	// width is the terminal's, nil when there is none.
	width func() int

	mu   sync.Mutex
	live suite.Live
	at   time.Time
	stop chan struct{}
	done sync.WaitGroup
}

// watch begins to show a run.
func watch(out io.Writer) *watcher {
	w := &watcher{out: out, stop: make(chan struct{})}
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return w
	}
	w.width = func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 {
			return 80
		}
		return width
	}
	w.done.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.mu.Lock()
				w.draw()
				w.mu.Unlock()
			case <-w.stop:
				return
			}
		}
	})
	return w
}

// close ends the line.
func (w *watcher) close() {
	close(w.stop)
	w.done.Wait()
	if w.width != nil {
		_, _ = io.WriteString(w.out, erase)
	}
}

// erase takes the line away.
const erase = "\r\x1b[K"

// ended shows that a case has ended.
func (w *watcher) ended(done, of int, r report.CaseResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.width == nil {
		fmt.Fprintf(w.out, "%3d/%d  %-7s  %-8s %5.1f s  %s\n", done, of, r.State, r.ID, r.Seconds, r.Title)
		return
	}
	if r.State == report.Failed || r.State == report.Waived {
		fmt.Fprintf(w.out, "%s%-7s  %-8s %5.1f s  %s\n", erase, r.State, r.ID, r.Seconds, r.Title)
	}
}

// moved shows how far the run is.
func (w *watcher) moved(l suite.Live) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live, w.at = l, time.Now()
	w.draw()
}

// draw draws the line, where there is one.
func (w *watcher) draw() {
	if w.width != nil && w.live.Of > 0 {
		_, _ = io.WriteString(w.out, erase+line(w.live, time.Since(w.at), w.width()))
	}
}

// line is what the line says some time after the run was so far. It fits the
// width.
func line(l suite.Live, since time.Duration, width int) string {
	text := fmt.Sprintf("%d/%d done, %d failed", l.Done, l.Of, l.Failed)
	if left := l.Left - since; l.Left > 0 {
		text += fmt.Sprintf(", about %s left", max(time.Second, left).Round(time.Second))
	}
	if len(l.Running) > 0 {
		text += ": " + strings.Join(l.Running, " ")
	}
	if len(text) > width-1 {
		text = text[:max(0, width-2)] + "…"
	}
	return text
}
