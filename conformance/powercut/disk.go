// SPDX-License-Identifier: Apache-2.0

package powercut

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Device is what the kernel offers FUSE by. Without it there is no Disk.
const Device = "/dev/fuse"

// Disk is a file system that is mounted, and what was changed in it.
type Disk struct {
	server *fuse.Server

	mu      sync.Mutex
	changes []*Change
}

// Mount mounts a Disk at a directory, with what is in backing, which has to be
// empty: another directory, on a file system that need not survive anything.
// Close ends it. It needs root and Device.
func Mount(at, backing string) (*Disk, error) {
	var stat syscall.Stat_t
	if err := syscall.Stat(backing, &stat); err != nil {
		return nil, &os.PathError{Op: "stat", Path: backing, Err: err}
	}
	d := &Disk{}
	loopback := &fs.LoopbackRoot{Path: backing, Dev: stat.Dev}
	root := &node{LoopbackNode: &fs.LoopbackNode{RootData: loopback}, disk: d}
	loopback.RootNode = root
	second := time.Second
	server, err := fs.Mount(at, root, &fs.Options{
		AttrTimeout: &second, EntryTimeout: &second,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "disk", Name: "disk", AllowOther: true, DisableXAttrs: true},
	})
	if err != nil {
		return nil, fmt.Errorf("mount a file system that is remembered at %s: %w", at, err)
	}
	d.server = server
	return d, nil
}

// Close unmounts the file system, whoever still uses it.
func (d *Disk) Close() error {
	err := d.server.Unmount()
	if err == nil {
		d.server.Wait()
	}
	return err
}

// Changes returns what was done so far, in order.
func (d *Disk) Changes() []*Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.changes)
}

// record keeps a change that was done.
func (d *Disk) record(c *Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.At = time.Now()
	d.changes = append(d.changes, c)
}

// done records a change that succeeded, and passes on how it ended.
func (d *Disk) done(errno syscall.Errno, c *Change) syscall.Errno {
	if errno == fs.OK {
		d.record(c)
	}
	return errno
}
