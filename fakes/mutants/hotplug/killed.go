// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// What a crash leaves of a hot-plug.
var killedMutants = []mutant.Mutant{
	{Name: "hot-plug-without-state", Cases: []string{"HOT-10"}, Daemon: onHotPlugs(func(a *ledger.Attachment) { a.State = "" }),
		Fault: "a hot-plug that was interrupted is taken for a part of its sandbox"},
	{Name: "hot-plug-forgotten", Cases: []string{"HOT-10"}, Daemon: hotPlugForgotten,
		Fault: "what an interrupted hot-plug attached is not deleted"},
	{Name: "hot-plug-recorded-late", Cases: []string{"HOT-10"}, Daemon: hotPlugRecordedLate,
		Fault: "a hot-plug is recorded when its delegates have run"},
	{Name: "unplug-recorded-late", Cases: []string{"HOT-10"}, Daemon: unplugRecordedLate,
		Fault: "that an attachment is unplugged is recorded when its delegates have run"},
}

// onHotPlugs changes the hot-plugged attachments of each record that is loaded.
func onHotPlugs(f func(a *ledger.Attachment)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.OnLoad = func(containerID string) (*ledger.Record, error) {
				rec, err := next.Load(containerID)
				if err != nil {
					return rec, err
				}
				for i := range rec.Attachments {
					if rec.Attachments[i].HotPlugged {
						f(&rec.Attachments[i])
					}
				}
				return rec, nil
			}
		})
	}
}

func hotPlugForgotten(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnLoad = func(containerID string) (*ledger.Record, error) {
			rec, err := next.Load(containerID)
			if err == nil {
				rec.Attachments = slices.DeleteFunc(rec.Attachments, func(a ledger.Attachment) bool { return a.State != "" })
			}
			return rec, err
		}
	})
}

func hotPlugRecordedLate(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnBegin = func(rec *ledger.Record) error {
			if rec.State == ledger.StateAdded {
				return nil
			}
			return next.Begin(rec)
		}
	})
}

func unplugRecordedLate(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnSave = func(rec *ledger.Record) error {
			if slices.ContainsFunc(rec.Attachments, func(a ledger.Attachment) bool { return a.State == ledger.AttachmentDeleting }) {
				return nil
			}
			return next.Save(rec)
		}
	})
}
