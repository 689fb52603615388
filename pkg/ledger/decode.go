// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A record's file is read part by part, and what a part may cost is bounded: a
// file of nothing but "{}," would become a hundred times its size when it is
// decoded at once, and a daemon that has to read it at start would never start
// (SEC-07).
const (
	// maxFile is the largest file that is looked at, in bytes. Daemons before
	// schema 2 wrote the same configuration once for each of its attachments.
	maxFile = 64 << 20
	// maxPart is the largest attachment or configuration as it is in the file.
	maxPart = 4 << 20
	// maxAttachments is how many a sandbox may have, maxFields how many keys a
	// document.
	maxAttachments = 4096
	maxFields      = 128
	// smallFile is the largest file whose documents are decoded at once, in bytes:
	// most are, and "{}," costs some MiB there.
	smallFile = 16 << 10
	// maxField, maxArgs, maxCapabilityArgs and maxResult bound what is decoded.
	maxField          = 256 << 10
	maxArgs           = 128 << 10
	maxCapabilityArgs = 512 << 10
	maxResult         = 2 << 20
)

// parts reads a file and fails when one part of it is too long.
type parts struct {
	r          io.Reader
	most, left int
	// err is what went wrong with the disk, as opposed to the content.
	err error
}

// newParts reads a file whose parts have so many bytes at the most.
func newParts(f io.Reader, most int) *parts { return &parts{r: f, most: most} }

func (p *parts) next() { p.left = p.most }

// Read implements io.Reader.
func (p *parts) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, fmt.Errorf("%w: a part of it is longer than %d bytes", errUnusable, p.most)
	}
	n, err := p.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}

// reader decodes the documents of one file.
type reader struct {
	containerID string
	parts       *parts
	dec         *json.Decoder
	// record is what the documents so far say, nil before the first.
	record  *Record
	configs []string
	steps   int
	// known keeps equal configurations in memory once; checked are those that passed
	// validate.
	known   map[string]string
	checked map[string]bool
	// base is where the last whole document ended.
	base int64
	// read reads the next document; io.EOF means that there is none.
	read func() (*draft, error)
}

// decodeFile reads all documents of a file that has size bytes. With an error it
// also returns what those before the one at fault say, nil when there are none.
func decodeFile(containerID string, f io.Reader, size int64) (*reader, error) {
	r := &reader{containerID: containerID, parts: newParts(f, maxPart), known: map[string]string{}, checked: map[string]bool{}}
	r.dec = json.NewDecoder(r.parts)
	r.dec.UseNumber() // capability arguments keep their digits (ADD-16)
	r.read = r.byParts
	if size <= smallFile {
		r.read, r.parts.most = r.atOnce, smallFile+1 // should it grow meanwhile
	}
	for {
		err := r.document()
		switch {
		case r.parts.err != nil:
			return r, r.parts.err
		case errors.Is(err, io.EOF) && r.record != nil:
			return r, nil
		case err != nil && !errors.Is(err, errUnusable):
			return r, fmt.Errorf("%w: %w", errUnusable, err)
		case err != nil:
			return r, err
		}
		if r.steps == 0 {
			r.base = r.dec.InputOffset()
		}
	}
}

// draft is a document while it is read.
type draft struct {
	head
	fields      map[string]json.RawMessage
	attachments []attachmentDraft
	configs     []string
	keys        int
}

// head is a document without its attachments and configurations: a whole one's,
// or a step's where Step is not 0.
type head struct {
	recordFields
	Step    int           `json:"step"`
	Record  *recordFields `json:"record"`
	Removed []string      `json:"removed"`
}

// attachmentDraft is an attachment whose parts have not been decoded yet.
type attachmentDraft struct {
	attachmentFields
	Config         json.RawMessage `json:"config"`
	Args           json.RawMessage `json:"args"`
	CapabilityArgs json.RawMessage `json:"capabilityArgs"`
	DefaultRoute   json.RawMessage `json:"defaultRoute"`
}

// document reads one document and applies it. io.EOF means that there is none.
func (r *reader) document() error {
	d, err := r.read()
	if err != nil {
		return err
	}
	return r.apply(d)
}

// atOnce reads a document of a small file.
func (r *reader) atOnce() (*draft, error) {
	var all struct {
		head
		Attachments []attachmentDraft `json:"attachments"`
		Changed     []attachmentDraft `json:"changed"`
		Configs     []string          `json:"configs"`
	}
	if err := r.decode(&all); err != nil {
		return nil, err
	}
	d := &draft{head: all.head, attachments: append(all.Attachments, all.Changed...), configs: all.Configs}
	for i := range d.attachments {
		if err := r.settle(&d.attachments[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// byParts reads a document part by part.
func (r *reader) byParts() (*draft, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	if token != json.Delim('{') {
		return nil, fmt.Errorf("%w: %v stands where a record should begin", errUnusable, token)
	}
	d := &draft{fields: map[string]json.RawMessage{}}
	for r.more() {
		if err := r.field(d); err != nil {
			return nil, inside(err)
		}
	}
	if _, err := r.token(); err != nil {
		return nil, inside(err)
	}
	data, err := json.Marshal(d.fields)
	if err != nil {
		return nil, err
	}
	d.fields = nil
	return d, decodeNumbers(data, &d.head)
}

// inside turns the end of a file within a document into what it means.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *reader) token() (json.Token, error) {
	r.parts.next()
	return r.dec.Token()
}

func (r *reader) more() bool {
	r.parts.next()
	return r.dec.More()
}

func (r *reader) decode(into any) error {
	r.parts.next()
	return r.dec.Decode(into)
}

func (r *reader) field(d *draft) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	switch key, _ := token.(string); key {
	case "attachments", "changed":
		return r.list(func() error { return r.attachment(d) })
	case "configs":
		return r.list(func() error { return r.config(d) })
	default:
		var raw json.RawMessage
		if err := r.decode(&raw); err != nil {
			return err
		}
		if d.keys++; len(raw) > maxField || d.keys > maxFields {
			return fmt.Errorf("%w: %q has %d bytes and is key %d of the record", errUnusable, key[:min(len(key), 40)], len(raw), d.keys)
		}
		d.fields[key] = raw
		return nil
	}
}

// list reads the elements of a list one by one; null is an empty one.
func (r *reader) list(element func() error) error {
	token, err := r.token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('[') {
		return fmt.Errorf("%w: %v stands where a list should begin", errUnusable, token)
	}
	for r.more() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err = r.token()
	return err
}

func (r *reader) attachment(d *draft) error {
	var a attachmentDraft
	if len(d.attachments) == maxAttachments {
		return fmt.Errorf("%w: it has more than %d attachments", errUnusable, maxAttachments)
	}
	if err := r.decode(&a); err != nil {
		return err
	}
	if err := r.settle(&a); err != nil {
		return err
	}
	d.attachments = append(d.attachments, a)
	return nil
}

// settle decodes an attachment's parts.
func (r *reader) settle(a *attachmentDraft) error {
	if err := a.decodeParts(); err != nil {
		return err
	}
	if len(a.Config) > 0 && a.Config[0] == '"' { // schema 1
		text, err := r.text(a.Config)
		if err != nil {
			return err
		}
		a.attachmentFields.Config, a.Config = text, nil
	}
	return nil
}

// decodeParts decodes the parts of an attachment that are not too large.
func (a *attachmentDraft) decodeParts() error {
	if err := a.attachmentFields.plausible(); err != nil {
		return err
	}
	for _, part := range []struct {
		key  string
		raw  json.RawMessage
		into any
		most int
	}{
		{"args", a.Args, &a.attachmentFields.Args, maxArgs},
		{"capabilityArgs", a.CapabilityArgs, &a.attachmentFields.CapabilityArgs, maxCapabilityArgs},
		{"defaultRoute", a.DefaultRoute, &a.attachmentFields.DefaultRoute, maxArgs},
	} {
		if len(part.raw) > part.most {
			return fmt.Errorf("%w: %s of interface %q have %d bytes", errUnusable, part.key, a.Interface, len(part.raw))
		}
		if len(part.raw) == 0 {
			continue
		}
		if err := decodeNumbers(part.raw, part.into); err != nil {
			return err
		}
	}
	a.Args, a.CapabilityArgs, a.DefaultRoute = nil, nil, nil
	return nil
}

// plausible bounds what stays in memory as it was read.
func (a *attachmentFields) plausible() error {
	if size := len(a.Result) + len(a.DeviceInfo); size > maxPart {
		return fmt.Errorf("%w: the result of interface %q has %d bytes", errUnusable, a.Interface, size)
	}
	return nil
}

func (r *reader) config(d *draft) error {
	var raw json.RawMessage
	if len(d.configs)+len(r.configs) == maxAttachments {
		return fmt.Errorf("%w: it has more than %d configurations", errUnusable, maxAttachments)
	}
	if err := r.decode(&raw); err != nil {
		return err
	}
	text, err := r.text(raw)
	if err != nil {
		return err
	}
	d.configs = append(d.configs, text)
	return nil
}

// text decodes a string, and keeps equal ones once.
func (r *reader) text(raw json.RawMessage) (string, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", err
	}
	if known, ok := r.known[text]; ok {
		return known, nil
	}
	r.known[text] = text
	return text, nil
}

// apply brings the record to what a document says.
func (r *reader) apply(d *draft) error {
	if d.Schema < 1 || d.Schema > SchemaVersion {
		return fmt.Errorf("%w: schema %d is not one that this version reads (1 to %d)", errUnusable, d.Schema, SchemaVersion)
	}
	var now *Record
	var err error
	if d.Step == 0 {
		now, err = r.applyWhole(d)
	} else {
		now, err = r.applyStep(d)
	}
	if err == nil {
		err = now.validate(r.containerID, r.checked)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	r.record, r.steps = now, d.Step
	return nil
}

func (r *reader) applyWhole(d *draft) (*Record, error) {
	now := Record(d.recordFields)
	r.configs = d.configs
	for i := range d.attachments {
		a, err := r.resolve(&d.attachments[i])
		if err != nil {
			return nil, err
		}
		now.Attachments = append(now.Attachments, *a)
	}
	return &now, nil
}

func (r *reader) applyStep(d *draft) (*Record, error) {
	if r.record == nil || d.Step != r.steps+1 {
		return nil, fmt.Errorf("step %d comes after %d", d.Step, r.steps)
	}
	now := *r.record
	if d.Record != nil {
		now = Record(*d.Record)
	}
	now.ContainerID, now.State, now.Updated = d.ContainerID, d.State, d.Updated
	now.Attachments = slices.DeleteFunc(slices.Clone(r.record.Attachments), func(a Attachment) bool { return slices.Contains(d.Removed, a.key()) })
	configs := r.configs
	r.configs = append(slices.Clip(configs), d.configs...)
	for i := range d.attachments {
		a, err := r.resolve(&d.attachments[i])
		if err != nil {
			r.configs = configs
			return nil, err
		}
		at := slices.IndexFunc(now.Attachments, func(old Attachment) bool { return old.key() == a.key() })
		if at < 0 {
			now.Attachments = append(now.Attachments, *a)
		} else {
			now.Attachments[at] = *a
		}
	}
	return &now, nil
}

// resolve gives an attachment its configuration.
func (r *reader) resolve(a *attachmentDraft) (*Attachment, error) {
	own := Attachment(a.attachmentFields)
	if a.Config == nil {
		return &own, nil // schema 1
	}
	var number int
	if err := json.Unmarshal(a.Config, &number); err != nil {
		return nil, err
	}
	if number < 0 || number >= len(r.configs) {
		return nil, fmt.Errorf("interface %q has configuration %d of %d", a.Interface, number, len(r.configs))
	}
	own.Config = r.configs[number]
	return &own, nil
}

// written returns what the file has, for the next step; nil for one of schema 1,
// and for one that this package has not written.
func (r *reader) written(size int64) *written {
	if r.record.Schema != SchemaVersion {
		return nil
	}
	w, _, _, err := contents(r.record, nil)
	if err != nil {
		return nil
	}
	w.steps, w.size, w.base = r.steps, size, r.base
	w.configs = map[string]int{}
	for number, config := range r.configs {
		w.configs[config] = number
		if !r.checked[config] {
			return nil // no attachment has had it
		}
	}
	if len(w.configs) < len(r.configs) {
		return nil // one is there twice, and steps could not number the next one
	}
	return w
}

// decodeNumbers decodes JSON whose numbers keep their digits (ADD-16).
func decodeNumbers(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}
