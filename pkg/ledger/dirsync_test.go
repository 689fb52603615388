// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// wait returns when the directory, as it is now, is on the disk.
func (d *dirSync) wait() error {
	r := d.ask()
	<-r.done
	return r.err
}

// TestSyncsAreShared holds the first sync until many have asked: none of them
// may be served by it, since it began before they asked, and one more is enough
// for all.
func TestSyncsAreShared(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	must(t, err)
	defer root.Close()
	var syncs atomic.Int32
	begun, let := make(chan struct{}), make(chan struct{})
	broken := errors.New("disk")
	d := &dirSync{root: root, sync: func(*os.File) error {
		if syncs.Add(1) == 1 {
			close(begun)
			<-let
			return nil
		}
		return broken
	}}
	first := make(chan error)
	go func() { first <- d.wait() }()
	<-begun
	var others, asked sync.WaitGroup
	for range 50 {
		asked.Add(1)
		others.Go(func() {
			r := d.ask()
			asked.Done()
			<-r.done
			if !errors.Is(r.err, broken) {
				t.Errorf("got %v", r.err)
			}
		})
	}
	asked.Wait()
	close(let)
	must(t, <-first)
	others.Wait()
	if n := syncs.Load(); n != 2 {
		t.Errorf("%d syncs, want 2", n)
	}
	if err := d.wait(); !errors.Is(err, broken) || syncs.Load() != 3 {
		t.Errorf("afterwards: %v, %d syncs", err, syncs.Load())
	}
}
