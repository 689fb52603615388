// SPDX-License-Identifier: Apache-2.0

package del

import (
	"strings"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile del: containers whose ids are alike.
var alikeMutants = []mutant.Mutant{
	{Name: "keys-of-12-characters", Cases: []string{"DEL-12"}, Daemon: keyedBy(func(id string) string { return id[:min(len(id), 12)] }),
		Fault: "containers are told apart by the first twelve characters of their ids"},
	{Name: "keys-of-63-characters", Cases: []string{"DEL-12"}, Daemon: keyedBy(func(id string) string { return id[:min(len(id), 63)] }),
		Fault: "containers are told apart by the first 63 characters of their ids"},
	{Name: "keys-in-lower-case", Cases: []string{"DEL-12"}, Daemon: keyedBy(strings.ToLower),
		Fault: "containers are told apart without regard to the case of their ids"},
	{Name: "keys-of-plain-characters", Cases: []string{"DEL-12"}, Daemon: keyedBy(strings.NewReplacer(".", "-", "_", "-").Replace),
		Fault: "characters that are neither letters nor digits are all the same in the keys of containers"},
}

// keyedBy has the ledger keep each container under a key of its id.
func keyedBy(key func(id string) string) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			under := func(rec *ledger.Record, write func(*ledger.Record) error) error {
				id := rec.ContainerID
				rec.ContainerID = key(id)
				defer func() { rec.ContainerID = id }()
				return write(rec)
			}
			r.OnBegin = func(rec *ledger.Record) error { return under(rec, next.Begin) }
			r.OnSave = func(rec *ledger.Record) error { return under(rec, next.Save) }
			r.OnRemove = func(id string) error { return next.Remove(key(id)) }
			r.OnLoad = func(id string) (*ledger.Record, error) {
				rec, err := next.Load(key(id))
				if err == nil {
					rec.ContainerID = id
				}
				return rec, err
			}
		})
	}
}
