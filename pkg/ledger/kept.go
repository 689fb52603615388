// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"os"
	"slices"
	"sync"
	"syscall"
)

// mostKept is how many bytes the files of the records in memory have together at
// most. In memory a record takes a few times what its file has.
const mostKept = 1 << 20

// keeper has in memory what was written last, by container, so that the DEL of a
// sandbox reads no file. What lies in the directory counts: a record in memory is
// used only while its file is the one that was written, unchanged. A nil *keeper
// keeps nothing.
type keeper struct {
	mu      sync.Mutex
	records map[string]keptRecord
	bytes   int64
}

type keptRecord struct {
	record *Record
	file   fileIdentity
}

// fileIdentity tells a file from every other, and from what it was before its last
// change. Before Linux 6.13 a change of the same length is not seen within one tick of
// the clock, some milliseconds, after the last write.
type fileIdentity struct {
	device, inode   uint64
	size            int64
	content, status syscall.Timespec
}

// identityOf returns the identity of a file on Linux, where every file has one.
func identityOf(info os.FileInfo) fileIdentity {
	st, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return fileIdentity{}
	}
	return fileIdentity{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim} //nolint:unconvert // not everywhere the same type
}

// keep remembers a record that f has been written from, if a DEL can find it so. One
// that is being added or deleted is written again, and a file whose times were asked
// for takes longer to write. The caller goes on changing the record. When there is no
// room, keep forgets all others first.
func (k *keeper) keep(r *Record, f *os.File) {
	if k == nil {
		return
	}
	k.forget(r.ContainerID)
	if r.State != StateAdded || !r.readsBack() {
		return
	}
	info, err := f.Stat()
	if err != nil || info.Size() != r.file.size || info.Size() > smallFile {
		return // another process has written, too, or it is large
	}
	one := keptRecord{r.copied(), identityOf(info)}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.records == nil || k.bytes+one.file.size > mostKept {
		k.records, k.bytes = map[string]keptRecord{}, 0
	}
	k.records[r.ContainerID] = one
	k.bytes += one.file.size
}

// forget drops what is remembered of a container.
func (k *keeper) forget(containerID string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if one, known := k.records[containerID]; known {
		k.bytes -= one.file.size
		delete(k.records, containerID)
	}
}

// find returns the record whose file has this info, nil when it is not in memory.
func (k *keeper) find(containerID string, info os.FileInfo) *Record {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	one, known := k.records[containerID]
	k.mu.Unlock()
	if !known || one.file != identityOf(info) {
		return nil
	}
	return one.record.copied()
}

// readsBack reports whether a record means the same when it is read from its file.
// Capability arguments may not: their types depend on where they come from. Nor may
// addresses, which have two forms.
func (r *Record) readsBack() bool {
	return !slices.ContainsFunc(r.Attachments, func(a Attachment) bool {
		return len(a.CapabilityArgs) > 0 || a.DefaultRoute != nil
	})
}
