// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/fakes/script"
)

// record writes a call when it begins, and again when it ends: one that was
// killed has no end.
type record struct {
	dir, path string
	call      script.Call
	once      sync.Once
}

func begin(dir string, conf *configuration, stdin []byte) *record {
	pgid, _ := syscallGetpgid()
	r := &record{dir: dir, call: script.Call{
		Command: os.Getenv("CNI_COMMAND"), Type: conf.Type, Network: conf.Name, Interface: os.Getenv("CNI_IFNAME"),
		ContainerID: os.Getenv("CNI_CONTAINERID"), Netns: os.Getenv("CNI_NETNS"), Path: os.Getenv("CNI_PATH"), Args: os.Getenv("CNI_ARGS"),
		Env: os.Environ(), Stdin: stdin, Start: time.Now(), PID: os.Getpid(), PPID: os.Getppid(), PGID: pgid,
		Host: namespaceAt("/proc/self/ns/net"), Container: namespaceAt(os.Getenv("CNI_NETNS")),
	}}
	r.path = filepath.Join(dir, fmt.Sprintf("%d-%d.json", r.call.Start.UnixNano(), r.call.PID))
	r.write()
	return r
}

// end writes the time at which the call ended, once.
func (r *record) end() {
	r.once.Do(func() {
		r.call.End = time.Now()
		r.write()
	})
}

// write puts the record in place whole; a plugin that cannot record is of no
// use to the suite, and says so by failing.
func (r *record) write() {
	data, err := json.Marshal(&r.call)
	if err == nil {
		tmp := r.path + ".tmp"
		if err = os.WriteFile(tmp, data, 0o600); err == nil {
			err = os.Rename(tmp, r.path)
		}
	}
	if err != nil {
		exit(fmt.Errorf("fake: the call cannot be recorded: %w", err))
	}
}

// nsfs is the type of the file system of namespaces.
const nsfs = 0x6e736673

// namespaceAt is the inode of the namespace at a path, 0 where there is none.
func namespaceAt(path string) uint64 {
	var fs unix.Statfs_t
	var st unix.Stat_t
	if unix.Statfs(path, &fs) != nil || fs.Type != nsfs || unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}
