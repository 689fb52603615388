// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
)

// Observation is what an observer saw of a path.
type Observation struct {
	// Samples is how often it looked, Seen how often something was there.
	Samples int `json:"samples"`
	Seen    int `json:"seen"`
	// Modes and Owners count what it saw: "0600" and "0:0".
	Modes  map[string]int `json:"modes"`
	Owners map[string]int `json:"owners"`
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
	o := Observation{Modes: map[string]int{}, Owners: map[string]int{}}
	if _, err := fmt.Fprintln(stdout, "observing"); err != nil {
		return err
	}
	for last := false; !last; {
		last = stop.Load()
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
