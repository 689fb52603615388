// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// records is a ledger whose methods a fault replaces one by one; those that
// are nil are the real ledger's.
type records struct {
	attach.Ledger
	begin  func(r *ledger.Record) error
	save   func(r *ledger.Record) error
	load   func(containerID string) (*ledger.Record, error)
	remove func(containerID string) error
	multus func(containerID string) ([]ledger.MultusDelegate, error)
}

// onRecords puts records round the ledger.
func (a *assembly) onRecords(set func(r *records, next attach.Ledger)) {
	a.wrapLedger(func(next attach.Ledger) attach.Ledger {
		r := &records{Ledger: next}
		set(r, next)
		return r
	})
}

func (r *records) Begin(rec *ledger.Record) error {
	if r.begin != nil {
		return r.begin(rec)
	}
	return r.Ledger.Begin(rec)
}

func (r *records) Save(rec *ledger.Record) error {
	if r.save != nil {
		return r.save(rec)
	}
	return r.Ledger.Save(rec)
}

func (r *records) Load(containerID string) (*ledger.Record, error) {
	if r.load != nil {
		return r.load(containerID)
	}
	return r.Ledger.Load(containerID)
}

func (r *records) Remove(containerID string) error {
	if r.remove != nil {
		return r.remove(containerID)
	}
	return r.Ledger.Remove(containerID)
}

func (r *records) LoadMultus(containerID string) ([]ledger.MultusDelegate, error) {
	if r.multus != nil {
		return r.multus(containerID)
	}
	return r.Ledger.LoadMultus(containerID)
}
