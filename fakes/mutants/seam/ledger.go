// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// Records is a ledger whose methods a fault replaces one by one; those that
// are nil are the real ledger's.
type Records struct {
	attach.Ledger
	OnBegin  func(r *ledger.Record) error
	OnSave   func(r *ledger.Record) error
	OnLoad   func(containerID string) (*ledger.Record, error)
	OnRemove func(containerID string) error
	Multus   func(containerID string) ([]ledger.MultusDelegate, error)
}

// OnRecords puts records round the ledger.
func (a *Assembly) OnRecords(set func(r *Records, next attach.Ledger)) {
	a.WrapLedger(func(next attach.Ledger) attach.Ledger {
		r := &Records{Ledger: next}
		set(r, next)
		return r
	})
}

// Begin implements attach.Ledger.
func (r *Records) Begin(rec *ledger.Record) error {
	if r.OnBegin != nil {
		return r.OnBegin(rec)
	}
	return r.Ledger.Begin(rec)
}

// Save implements attach.Ledger.
func (r *Records) Save(rec *ledger.Record) error {
	if r.OnSave != nil {
		return r.OnSave(rec)
	}
	return r.Ledger.Save(rec)
}

// Load implements attach.Ledger.
func (r *Records) Load(containerID string) (*ledger.Record, error) {
	if r.OnLoad != nil {
		return r.OnLoad(containerID)
	}
	return r.Ledger.Load(containerID)
}

// Remove implements attach.Ledger.
func (r *Records) Remove(containerID string) error {
	if r.OnRemove != nil {
		return r.OnRemove(containerID)
	}
	return r.Ledger.Remove(containerID)
}

// LoadMultus implements attach.Ledger.
func (r *Records) LoadMultus(containerID string) ([]ledger.MultusDelegate, error) {
	if r.Multus != nil {
		return r.Multus(containerID)
	}
	return r.Ledger.LoadMultus(containerID)
}
