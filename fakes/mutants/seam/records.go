// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"path/filepath"
	"sync"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// Damaged lists the files of the ledger that cannot be read.
func Damaged(cniDir string) []string {
	entries, _ := ledger.List(cniDir)
	var paths []string
	for _, e := range entries {
		if e.Err != nil {
			paths = append(paths, RecordPath(cniDir, e.ContainerID))
		}
	}
	return paths
}

// RecordPath is where the ledger keeps a container's record.
func RecordPath(cniDir, containerID string) string {
	return filepath.Join(cniDir, "ledger", containerID+".json")
}

// OnFormerRecord changes the records of an earlier process as they are read.
func OnFormerRecord(f func(rec *ledger.Record)) func(*Assembly) {
	return func(a *Assembly) {
		var own sync.Map
		a.OnRecords(func(r *Records, next attach.Ledger) {
			r.OnBegin = func(rec *ledger.Record) error {
				own.Store(rec.ContainerID, true)
				return next.Begin(rec)
			}
			r.OnLoad = func(containerID string) (*ledger.Record, error) {
				rec, err := next.Load(containerID)
				if _, known := own.Load(containerID); err == nil && !known {
					f(rec)
				}
				return rec, err
			}
		})
	}
}

// RecordsOf are all records that can be read.
func RecordsOf(l attach.Ledger) []*ledger.Record {
	ids, _ := l.Containers()
	var all []*ledger.Record
	for _, id := range ids {
		if rec, err := l.Load(id); err == nil {
			all = append(all, rec)
		}
	}
	return all
}

// Recorded are the attachments of all records that f accepts.
func Recorded(l attach.Ledger, f func(rec *ledger.Record, at *ledger.Attachment) bool) []types.GCAttachment {
	all := []types.GCAttachment{}
	for _, rec := range RecordsOf(l) {
		for i := range rec.Attachments {
			if f(rec, &rec.Attachments[i]) {
				all = append(all, types.GCAttachment{ContainerID: rec.ContainerID, IfName: rec.Attachments[i].Interface})
			}
		}
	}
	return all
}
