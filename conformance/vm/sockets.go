// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// sockets are where a machine finds what the host has for it.
type sockets struct {
	dir    string
	events net.Listener
	// control is for the monitor of a machine that is to be frozen.
	control net.Listener
	disks   []net.Listener
}

// listen makes them. The path of a socket has at most 107 bytes.
func listen(disks int) (s *sockets, err error) {
	s = &sockets{}
	if s.dir, err = os.MkdirTemp("", "vm-"); err != nil {
		return nil, err
	}
	s.events, err = net.Listen("unix", filepath.Join(s.dir, "events")) //nolint:noctx // it is at once
	if err == nil {
		s.control, err = net.Listen("unix", controlSocket(s.dir)) //nolint:noctx // as above
	}
	for i := 0; i < disks && err == nil; i++ {
		var l net.Listener
		if l, err = net.Listen("unix", diskSocket(s.dir, i)); err == nil { //nolint:noctx // as above
			s.disks = append(s.disks, l)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func controlSocket(dir string) string { return filepath.Join(dir, "control") }

func diskSocket(dir string, i int) string { return filepath.Join(dir, fmt.Sprint("disk", i)) }

func (s *sockets) close() {
	for _, l := range append(s.disks, s.events, s.control) {
		if l != nil {
			_ = l.Close()
		}
	}
	_ = os.RemoveAll(s.dir)
}
