// SPDX-License-Identifier: Apache-2.0

package memo

import (
	"errors"
	"strings"
	"testing"
)

func TestOfComputesOnce(t *testing.T) {
	var m Memo[int]
	computed := 0
	compute := func() (int, error) { computed++; return computed, nil }
	for range 3 {
		if v, err := m.Of([]byte("a"), compute); v != 1 || err != nil {
			t.Fatalf("got %d, %v", v, err)
		}
	}
	if v, _ := m.Of([]byte("b"), compute); v != 2 {
		t.Errorf("another text: got %d", v)
	}
}

func TestOfForgetsErrors(t *testing.T) {
	var m Memo[int]
	broken := errors.New("broken")
	if _, err := m.Of([]byte("a"), func() (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if v, err := m.Of([]byte("a"), func() (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
}

func TestOfIsBounded(t *testing.T) {
	var m Memo[int]
	for i := range 1000 {
		text := []byte(strings.Repeat("x", longest-i%100))
		if _, err := m.Of(text, func() (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
		if m.bytes > most {
			t.Fatalf("after %d texts it has %d bytes", i, m.bytes)
		}
	}
	sum := 0
	for text := range m.known {
		sum += len(text)
	}
	if sum != m.bytes {
		t.Errorf("it counts %d bytes and has %d", m.bytes, sum)
	}
	before := len(m.known)
	if _, err := m.Of([]byte(strings.Repeat("x", longest+1)), func() (int, error) { return 0, nil }); err != nil || len(m.known) != before {
		t.Errorf("a long text is remembered: %d texts, %v", len(m.known), err)
	}
}
