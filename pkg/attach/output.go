// SPDX-License-Identifier: Apache-2.0

package attach

import "io"

// boundedBuffer collects a plugin's output up to a limit and then reports an error,
// so that a plugin which prints 100 MiB costs no more than the limit (ADD-09).
type boundedBuffer struct {
	limit    int
	exceeded func()
	// begun is called once, when the plugin begins to print; may be nil.
	begun func()
	data  []byte
}

// Write implements io.Writer.
func (l *boundedBuffer) Write(p []byte) (int, error) {
	if begun := l.begun; begun != nil {
		l.begun = nil
		begun()
	}
	if room := l.limit - len(l.data); len(p) > room {
		l.data = append(l.data, p[:room]...)
		l.exceeded()
		return room, io.ErrShortWrite
	}
	l.data = append(l.data, p...)
	return len(p), nil
}

// Bytes returns what was collected.
func (l *boundedBuffer) Bytes() []byte { return l.data }

// tail keeps the last bytes of a plugin's stderr: the end is where a program
// says why it gave up.
type tail struct {
	limit int
	data  []byte
}

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n > t.limit {
		p = p[n-t.limit:]
	}
	t.data = append(t.data, p...)
	if over := len(t.data) - t.limit; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return n, nil
}

// Bytes returns the end of what was written.
func (t *tail) Bytes() []byte { return t.data }
