// SPDX-License-Identifier: Apache-2.0

package daemon

import "sync"

// flight counts the requests that are being served and tells when none is.
// A sync.WaitGroup would not do: requests may still enter while one waits.
type flight struct {
	mu    sync.Mutex
	count int
	// empty is closed while count is 0, and made anew when it leaves 0.
	empty chan struct{}
	// next is closed when a request enters, and made anew then.
	next chan struct{}
}

func newFlight() *flight {
	f := &flight{empty: make(chan struct{}), next: make(chan struct{})}
	close(f.empty)
	return f
}

// enter counts a request in; the function that it returns counts it out.
func (f *flight) enter() (leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == 0 {
		f.empty = make(chan struct{})
	}
	f.count++
	close(f.next)
	f.next = make(chan struct{})
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.count--; f.count == 0 {
			close(f.empty)
		}
	}
}

// size is how many requests are being served.
func (f *flight) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// idle returns a channel that is closed as soon as no request is served.
func (f *flight) idle() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.empty
}

// entered returns a channel that is closed when the next request comes in.
func (f *flight) entered() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}
