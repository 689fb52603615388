// SPDX-License-Identifier: Apache-2.0

// Package memo remembers what has been made of short texts. The networks of a
// node are few, and each is read again for every pod.
package memo

import "sync"

const (
	// longest is the longest text that is remembered, in bytes.
	longest = 8 << 10
	// most is how many bytes the texts of one Memo have together at most: what a
	// tenant can write costs no more than what is made of so much, and drives out
	// what others have.
	most = 64 << 10
)

// Memo remembers values by the texts that they were made of. The zero value is
// ready for use, and it is safe for concurrent use.
type Memo[V any] struct {
	mu    sync.Mutex
	known map[string]V
	bytes int
}

// Of returns what compute makes of a text, which depends on nothing else. The
// same value is returned again, so that nobody may change it. An error is not
// remembered.
func (m *Memo[V]) Of(text []byte, compute func() (V, error)) (V, error) {
	if len(text) > longest {
		return compute()
	}
	m.mu.Lock()
	v, known := m.known[string(text)]
	m.mu.Unlock()
	if known {
		return v, nil
	}
	v, err := compute()
	if err == nil {
		m.keep(string(text), v)
	}
	return v, err
}

// keep stores a value. When there is no room for it, keep drops all others first.
func (m *Memo[V]) keep(text string, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || m.bytes+len(text) > most {
		m.known, m.bytes = map[string]V{}, 0
	}
	if _, known := m.known[text]; !known {
		m.bytes += len(text)
	}
	m.known[text] = v
}
