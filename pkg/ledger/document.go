// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// recordFields and attachmentFields are a Record's and an Attachment's fields
// as they are in the file, but for those that the structs around them replace.
type (
	recordFields     Record
	attachmentFields Attachment
)

// whole is a document that has all of a record. Its attachments name their
// configurations by number, from 0 on, so that each distinct one is there once.
type whole struct {
	recordFields
	Attachments []attachmentDocument `json:"attachments"`
	Configs     []string             `json:"configs,omitempty"`
}

// step is a document that has what changed since the one before it.
type step struct {
	Schema int `json:"schema"`
	// Step counts the steps since the last whole document, from 1 on: one that
	// is missing is noticed.
	Step        int       `json:"step"`
	ContainerID string    `json:"containerID"`
	State       State     `json:"state"`
	Updated     time.Time `json:"updated"`
	// Record is there when one of the record's own fields has changed.
	Record *recordFields `json:"record,omitempty"`
	// Removed are the keys of attachments that are no longer there.
	Removed []string `json:"removed,omitempty"`
	// Changed are attachments that are new, or not what they were.
	Changed []attachmentDocument `json:"changed,omitempty"`
	// Configs are configurations that no document before has, and which are
	// numbered on from those.
	Configs []string `json:"configs,omitempty"`
}

type attachmentDocument struct {
	attachmentFields
	Config int `json:"config"`
}

// key tells the attachments of a sandbox apart. The auxiliary chain's interface
// name may be another attachment's too.
func (a *Attachment) key() string {
	if a.Auxiliary {
		return "/" + a.Interface
	}
	return a.Interface
}

// written is what a record's file has, so that a step appends only what is new.
type written struct {
	fields      uint64
	keys        []string
	attachments map[string]uint64
	configs     map[string]int
	steps       int
	// size is the file's; one of another size was changed by somebody else.
	// base is its size when it had no steps.
	size, base int64
}

// checked are the configurations of a file, which have passed validate.
func (w *written) checked() map[string]bool {
	passed := map[string]bool{}
	if w != nil {
		for config := range w.configs {
			passed[config] = true
		}
	}
	return passed
}

// contents returns what a file has that says what r says, but for the sizes, and
// r's attachments as they stand there. Configurations keep their numbers; those
// that have none get the next ones, and are returned.
func contents(r *Record, numbers map[string]int) (then *written, all []attachmentDocument, configs []string, err error) {
	then = &written{attachments: map[string]uint64{}, configs: map[string]int{}}
	maps.Copy(then.configs, numbers)
	then.fields = sumOfFields(r)
	for i := range r.Attachments {
		a := &r.Attachments[i]
		number, known := then.configs[a.Config]
		if !known {
			number = len(then.configs)
			then.configs[a.Config] = number
			configs = append(configs, a.Config)
		}
		d := attachmentDocument{attachmentFields: attachmentFields(*a), Config: number}
		if then.attachments[a.key()], err = sumOf(&d); err != nil {
			return nil, nil, nil, err
		}
		then.keys = append(then.keys, a.key())
		all = append(all, d)
	}
	return then, all, configs, nil
}

// next returns the document that brings a file from w to r, and what the file
// has then, but for the sizes. Without w, it is a whole one.
func (w *written) next(r *Record) (document any, then *written, err error) {
	var numbers map[string]int
	if w != nil {
		numbers = w.configs
	}
	then, all, configs, err := contents(r, numbers)
	if err != nil {
		return nil, nil, err
	}
	if len(then.attachments) < len(all) {
		w = nil // steps could not tell them apart
	}
	var changed []attachmentDocument
	for i, key := range then.keys {
		if w == nil || w.attachments[key] != then.attachments[key] {
			if err := all[i].check(); err != nil {
				return nil, nil, err
			}
			changed = append(changed, all[i])
		}
	}
	fields := fieldsOf(r)
	if w == nil || !w.leadsTo(then, changed) {
		return &whole{recordFields: fields, Attachments: all, Configs: configs}, then, nil
	}
	then.steps = w.steps + 1
	s := &step{Schema: SchemaVersion, Step: then.steps, ContainerID: r.ContainerID, State: r.State, Updated: r.Updated, Changed: changed, Configs: configs}
	for _, key := range w.keys {
		if _, still := then.attachments[key]; !still {
			s.Removed = append(s.Removed, key)
		}
	}
	if then.fields != w.fields {
		s.Record = &fields
	}
	return s, then, nil
}

// leadsTo says whether a step can make the attachments of then: those that stay
// keep their order, and new ones come last.
func (w *written) leadsTo(then *written, changed []attachmentDocument) bool {
	var order []string
	for _, key := range w.keys {
		if _, still := then.attachments[key]; still {
			order = append(order, key)
		}
	}
	for _, d := range changed {
		a := Attachment(d.attachmentFields)
		if key := a.key(); !slices.Contains(order, key) {
			order = append(order, key)
		}
	}
	return slices.Equal(order, then.keys)
}

// fieldsOf are the record's own.
func fieldsOf(r *Record) recordFields {
	fields := recordFields(*r)
	fields.Attachments = nil
	return fields
}

// encode renders a document for a person: indented, <, > and & as they are.
func encode(document any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(document)
	return buf.Bytes(), err
}

// ErrTooLarge is wrapped by the error of a record that is over the limit.
var ErrTooLarge = errors.New("the sandbox's record would be too large")

// check refuses what decoding would refuse, so that nothing is written that
// cannot be read (SEC-07).
func (d *attachmentDocument) check() error {
	for _, part := range []struct {
		what  string
		value any
		most  int
	}{
		{"CNI_ARGS", d.Args, maxArgs}, {"capability arguments", d.CapabilityArgs, maxCapabilityArgs}, {"default-route", d.DefaultRoute, maxArgs},
	} {
		data, err := json.Marshal(part.value)
		if err != nil {
			return err
		}
		if len(data) > part.most {
			return fmt.Errorf("%w: %s of network %q have %d bytes, the limit is %d", ErrTooLarge, part.what, d.Network, len(data), part.most)
		}
	}
	if size := len(d.Result) + len(d.DeviceInfo); size > maxResult {
		return fmt.Errorf("%w: the result of network %q has %d bytes, the limit is %d", ErrTooLarge, d.Network, size, maxResult)
	}
	return nil
}
