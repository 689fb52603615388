// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
)

// observation is what was seen of a path; the suite's Observation reads it.
type observation struct {
	Samples int            `json:"samples"`
	Seen    int            `json:"seen"`
	Modes   map[string]int `json:"modes"`
	Owners  map[string]int `json:"owners"`
}

// observe samples the mode and owner of a path, as fast as it can, until
// stdin is closed: a socket that is reachable with a lax mode for an instant
// is caught by somebody who looks all the time (SOCK-04).
func observe(path string, stdin io.Reader, stdout io.Writer) error {
	var stop atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		stop.Store(true)
	}()
	o := observation{Modes: map[string]int{}, Owners: map[string]int{}}
	if _, err := fmt.Fprintln(stdout, "observing"); err != nil {
		return err
	}
	for !stop.Load() {
		var st syscall.Stat_t
		o.Samples++
		if syscall.Lstat(path, &st) != nil {
			continue
		}
		o.Seen++
		o.Modes[fmt.Sprintf("%04o", st.Mode&0o7777)]++
		o.Owners[fmt.Sprintf("%d:%d", st.Uid, st.Gid)]++
	}
	return json.NewEncoder(stdout).Encode(&o)
}
