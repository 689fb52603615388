// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// keeping returns a Store that keeps records in memory, its directory, and a Store
// of the same directory that does not.
func keeping(t *testing.T) (s *Store, dir string, fresh *Store) {
	t.Helper()
	fresh, dir = open(t)
	s, err := Open(filepath.Dir(dir), slog.New(slog.DiscardHandler))
	must(t, err)
	return s, dir, fresh
}

// added is a record that a DEL will find.
func added(id string) *Record {
	r := sample(id)
	r.State = StateAdded
	return r
}

// inMemory reports whether Load would read no file.
func inMemory(t *testing.T, s *Store, id string) bool {
	t.Helper()
	info, err := s.root.Lstat(id + suffix)
	must(t, err)
	return s.kept.find(id, info) != nil
}

func loaded(t *testing.T, s *Store, id string) *Record {
	t.Helper()
	r, err := s.Load(id)
	must(t, err)
	return r
}

// compareWithFile fails unless a container's record is in memory, or is not, as it
// should be, and Load returns what a Store reads that has nothing in memory.
func compareWithFile(t *testing.T, what string, s, fresh *Store, id string, kept bool) {
	t.Helper()
	if inMemory(t, s, id) != kept {
		t.Errorf("%s: in memory: %v", what, !kept)
	}
	got, want := loaded(t, s, id), loaded(t, fresh, id)
	if !got.Updated.Equal(want.Updated) || !got.Created.Equal(want.Created) {
		t.Errorf("%s: times differ: %v and %v, %v and %v", what, got.Created, want.Created, got.Updated, want.Updated)
	}
	for _, one := range []*Record{got, want} {
		one.Created, one.Updated, one.file = time.Time{}, time.Time{}, nil
		for i := range one.Attachments {
			if raw := &one.Attachments[i].Result; *raw != nil {
				var b bytes.Buffer
				must(t, json.Compact(&b, *raw)) // it is indented in the file
				*raw = b.Bytes()
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: in memory %+v, in the file %+v", what, got, want)
	}
}

func TestWhatIsKeptIsWhatTheFileSays(t *testing.T) {
	s, _, fresh := keeping(t)
	r := sample("c1")
	same := func(when string, kept bool) {
		t.Helper()
		compareWithFile(t, when, s, fresh, "c1", kept)
	}
	must(t, s.Begin(r))
	same("begun", false)
	r.State, r.Attachments[0].Result = StateAdded, json.RawMessage(`{"cniVersion":"1.0.0"}`)
	must(t, s.Save(r))
	same("added", true)
	r = loaded(t, s, "c1")
	r.State = StateDeleting
	must(t, s.Save(r))
	same("deleting", false)
	r.State = StateAdded
	must(t, s.Save(r))
	same("added again", true)
	must(t, s.Remove("c1"))
	if _, err := s.Load("c1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
	if len(s.kept.records) != 0 || s.kept.bytes != 0 {
		t.Errorf("removed: %d records, %d bytes are in memory", len(s.kept.records), s.kept.bytes)
	}
}

func identityAt(t *testing.T, path string) fileIdentity {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return identityOf(info)
}

// TestEachFieldIsKeptAsTheFileHasIt, or the record is not kept.
func TestEachFieldIsKeptAsTheFileHasIt(t *testing.T) {
	s, _, fresh := keeping(t)
	number := 0
	same := func(field string, r *Record) {
		t.Helper()
		number++
		r.ContainerID, r.State = "c"+strconv.Itoa(number), StateAdded
		must(t, s.Save(r))
		differs := slices.Contains([]string{"CapabilityArgs", "DefaultRoute"}, field)
		compareWithFile(t, field, s, fresh, r.ContainerID, !differs)
	}
	var a Attachment
	changeEach(t, reflect.ValueOf(&a).Elem(), map[string]bool{"Interface": true, "Config": true, "Parsed": true}, func(field string) {
		r, own := sample(""), a
		own.Interface, own.Config = "eth0", r.Attachments[0].Config
		r.Attachments = []Attachment{own}
		same(field, r)
	})
	r := Record{Attachments: sample("").Attachments}
	skip := map[string]bool{"Schema": true, "ContainerID": true, "State": true, "Attachments": true, "Updated": true, "file": true}
	changeEach(t, reflect.ValueOf(&r).Elem(), skip, func(field string) { same(field, r.Afresh()) })
	none := sample("")
	none.Attachments[0].Args = [][2]string{}
	same("no Args", none)
}

func TestWhatIsKeptIsNobodyElses(t *testing.T) {
	s, _, _ := keeping(t)
	r := added("c1")
	must(t, s.Begin(r))
	r.State, r.Attachments[0].Network = StateDeleting, "changed"
	first := loaded(t, s, "c1")
	first.Attachments[0].Network = "changed too"
	if got := loaded(t, s, "c1"); got.State != StateAdded || got.Attachments[0].Network != "default" {
		t.Errorf("what was not saved is there: %+v", got)
	}
}

// TestTheFileCounts changes a file of the same length in its place, and replaces it.
func TestTheFileCounts(t *testing.T) {
	s, dir, fresh := keeping(t)
	for id, change := range map[string]func(path string, data []byte) error{
		"c1": func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) },
		"c2": func(path string, data []byte) error {
			return errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path))
		},
	} {
		must(t, s.Begin(added(id)))
		path := filepath.Join(dir, id+suffix)
		data, err := os.ReadFile(path)
		must(t, err)
		// Older kernels do not see a change within a tick of their clock.
		for before := identityAt(t, path); identityAt(t, path) == before; {
			must(t, change(path, []byte(strings.Replace(string(data), "/var/run/netns/x", "/var/run/netns/y", 1))))
		}
		if got := loaded(t, s, id); got.Netns != "/var/run/netns/y" {
			t.Errorf("%s: the file is not read: %s", id, got.Netns)
		}
		other := loaded(t, fresh, id) // as a daemon that takes over would
		other.Netns = "/var/run/netns/z"
		must(t, fresh.Save(other))
		if got := loaded(t, s, id); got.Netns != "/var/run/netns/z" {
			t.Errorf("%s: what another Store has added is not read: %s", id, got.Netns)
		}
		must(t, os.WriteFile(path, []byte("{"), 0o600))
		if _, err := s.Load(id); err == nil {
			t.Errorf("%s: damage is not seen", id)
		}
	}
}

func TestWhatReadsBackDifferentlyIsNotKept(t *testing.T) {
	s, _, _ := keeping(t)
	r := added("c1")
	r.Attachments[0].CapabilityArgs = map[string]any{"bandwidth": 1}
	must(t, s.Begin(r))
	if inMemory(t, s, "c1") {
		t.Error("a number is kept that the file has as another type")
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	s, _, _ := keeping(t)
	large := added("large")
	large.Attachments[0].Config = `{"name":"` + strings.Repeat("x", smallFile) + `","plugins":[{"type":"a"}]}`
	must(t, s.Save(large))
	if inMemory(t, s, "large") {
		t.Error("a large record is kept")
	}
	for i := range 2 * mostKept / smallFile {
		r := added("c" + strconv.Itoa(i))
		r.Attachments[0].Config = `{"name":"` + strings.Repeat("x", smallFile*9/10) + `","plugins":[{"type":"a"}]}`
		must(t, s.Save(r))
		if !inMemory(t, s, r.ContainerID) || s.kept.bytes > mostKept {
			t.Fatalf("after %d records: in memory %v, %d bytes of %d", i+1, inMemory(t, s, r.ContainerID), s.kept.bytes, mostKept)
		}
	}
	var sum int64
	for _, one := range s.kept.records {
		sum += one.file.size
	}
	if sum != s.kept.bytes {
		t.Errorf("it counts %d bytes and has %d", s.kept.bytes, sum)
	}
}
