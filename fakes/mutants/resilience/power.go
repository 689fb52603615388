// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"errors"
	"os"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

var powerMutants = []mutant.Mutant{
	{Name: "power-nothing-synced", Cases: []string{"RES-15"}, Daemon: nothingSynced,
		Fault: "a record is not synced before the first delegate runs"},
	{Name: "power-name-unsynced", Cases: []string{"RES-15"}, Daemon: nameUnsynced,
		Fault: "a record's bytes are synced, and its name in the directory is not"},
	{Name: "power-hot-plug-unsynced", Cases: []string{"RES-15"}, Daemon: hotPlugUnsynced,
		Fault: "what a hot-plug adds to a record is not synced before the delegate runs"},
	{Name: "power-written-in-place", Cases: []string{"RES-15"}, Daemon: writtenInPlace,
		Fault: "a record is written over in place, so that for a moment there is neither"},
	{Name: "power-renamed-unsynced", Cases: []string{"RES-15"}, Daemon: renamedUnsynced,
		Fault: "a record is replaced by a rename, and the bytes of the new one are not synced before"},
}

func nothingSynced(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) { r.OnBegin = next.Save })
}

func nameUnsynced(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnBegin = func(rec *ledger.Record) error {
			if err := next.Save(rec); err != nil {
				return err
			}
			f, err := os.OpenFile(seam.RecordPath(a.Config.CNIDir, rec.ContainerID), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			return errors.Join(f.Sync(), f.Close())
		}
	})
}

func hotPlugUnsynced(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnBegin = func(rec *ledger.Record) error {
			if rec.State == ledger.StateAdded {
				return next.Save(rec)
			}
			return next.Begin(rec)
		}
	})
}

func writtenInPlace(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnSave = func(rec *ledger.Record) error {
			return errors.Join(next.Save(rec), rewritten(a, rec, func(path string, data []byte) error {
				return os.WriteFile(path, data, 0o600)
			}))
		}
	})
}

func renamedUnsynced(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnSave = func(rec *ledger.Record) error {
			return errors.Join(next.Save(rec), rewritten(a, rec, func(path string, data []byte) error {
				return errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path))
			}))
		}
	})
}

// rewritten writes a record's file once more, in a way of its own.
func rewritten(a *seam.Assembly, rec *ledger.Record, write func(path string, data []byte) error) error {
	path := seam.RecordPath(a.Config.CNIDir, rec.ContainerID)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return write(path, data)
}
