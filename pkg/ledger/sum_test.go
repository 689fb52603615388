// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/json"
	"net"
	"reflect"
	"testing"
	"time"
)

// changeEach calls seen after it has changed one field, with all others zero. A
// field of a type that it does not know fails the test.
func changeEach(t *testing.T, of reflect.Value, skip map[string]bool, seen func(field string)) {
	t.Helper()
	values := map[reflect.Type]any{
		reflect.TypeFor[[][2]string]():     [][2]string{{"a", "b"}},
		reflect.TypeFor[map[string]any]():  map[string]any{"a": 1},
		reflect.TypeFor[[]net.IP]():        []net.IP{},
		reflect.TypeFor[json.RawMessage](): json.RawMessage("{}"),
		reflect.TypeFor[time.Time]():       time.Unix(1, 0),
		reflect.TypeFor[Pod]():             Pod{Name: "p"},
	}
	for i := range of.NumField() {
		field := of.Type().Field(i)
		if skip[field.Name] {
			continue
		}
		f := of.Field(i)
		if field.Anonymous {
			changeEach(t, f, skip, seen)
			continue
		}
		switch value, special := values[field.Type]; {
		case special:
			f.Set(reflect.ValueOf(value))
		case f.Kind() == reflect.String:
			f.SetString("x")
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.CanInt():
			f.SetInt(1)
		case f.CanUint():
			f.SetUint(1)
		default:
			t.Fatalf("field %s has a type that sum.go and this test have to learn: %s", field.Name, field.Type)
		}
		seen(field.Name)
		f.SetZero()
	}
}

func TestSumsSeeEveryField(t *testing.T) {
	var d attachmentDocument
	sum := func() uint64 {
		s, err := sumOf(&d)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	seen := map[uint64]string{sum(): "nothing"}
	// The configuration is in its number; Parsed is Result.
	changeEach(t, reflect.ValueOf(&d.attachmentFields).Elem(), map[string]bool{"Config": true, "Parsed": true}, func(field string) {
		if other, same := seen[sum()]; same {
			t.Errorf("Attachment.%s: the sum is as with %s", field, other)
		}
		seen[sum()] = field
	})
	if d.Config = 1; seen[sum()] != "" {
		t.Error("another configuration is not seen")
	}

	var r Record
	all := map[uint64]string{sumOfFields(&r): "nothing"}
	changeEach(t, reflect.ValueOf(&r).Elem(), map[string]bool{"State": true, "Updated": true, "Attachments": true, "file": true}, func(field string) {
		if other, same := all[sumOfFields(&r)]; same {
			t.Errorf("Record.%s: the sum is as with %s", field, other)
		}
		all[sumOfFields(&r)] = field
	})
}

func TestSumsTellNeighboursApart(t *testing.T) {
	a := attachmentDocument{attachmentFields: attachmentFields{Network: "ab", Definition: "c"}}
	b := attachmentDocument{attachmentFields: attachmentFields{Network: "a", Definition: "bc"}}
	one, _ := sumOf(&a)
	other, _ := sumOf(&b)
	if one == other {
		t.Error("ab, c is as a, bc")
	}
}
