// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"sync"
)

// KeyedLocks are mutexes by name.
type KeyedLocks struct{ m sync.Map }

// Lock takes the lock of a name and returns what gives it back.
func (k *KeyedLocks) Lock(name string) (unlock func()) {
	v, _ := k.m.LoadOrStore(name, &sync.Mutex{})
	mu := v.(*sync.Mutex)
	mu.Lock()
	return mu.Unlock
}
