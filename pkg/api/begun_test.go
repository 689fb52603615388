// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// The limits of a request are those of one that package quick had no part in.
func TestTimeThatQuickHasWaitedCounts(t *testing.T) {
	if doubtAfter <= quick.DelPatience*time.Millisecond || requestTimeout <= quick.Patience*time.Millisecond {
		t.Error("package quick waits longer than the request may take")
	}
	p := patient(requestTimeout)
	p.doubtAt = p.until
	c := call{begun: &quick.Begun{Waited: 600}}
	got := c.since(p)
	if want := p.until.Add(-600 * time.Millisecond); !got.until.Equal(want) || !got.doubtAt.Equal(want) {
		t.Errorf("until %v, doubt at %v, want %v", got.until, got.doubtAt, want)
	}
	if got := (&call{}).since(p); got.until != p.until {
		t.Errorf("nothing has begun: until %v, want %v", got.until, p.until)
	}
}

// What package quick has read of an answer comes first, then the error that it met, which the socket does not tell again.
func TestAConnectionGoesOn(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	conn, unsent, err := begin(patient(time.Second), message{begun: &quick.Begun{Conn: int(r.Fd()), Answer: []byte("abc"), Unsent: []byte("d"), Err: syscall.ECONNRESET}}, "/s")
	if err != nil || string(unsent) != "d" {
		t.Fatalf("%q, %v", unsent, err)
	}
	read, err := io.ReadAll(conn)
	if string(read) != "abc" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q, %v", read, err)
	}
}
