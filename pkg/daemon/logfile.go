// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Multus' defaults of logOptions.
const (
	defaultMaxAge     = 5 // days
	defaultMaxSize    = 100
	defaultMaxBackups = 5
)

// openLogFile opens the log file, which is rotated from then on. What is opened
// has to be a file of this very name: through a link the daemon would write, and
// rotate, a file that somebody else chose (SEC-15).
func openLogFile(path string, o LogOptions) (io.WriteCloser, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	// Not blocking, so that a FIFO is found out and not waited for.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a link; name the file that it leads to", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	l := &lumberjack.Logger{
		Filename: path, MaxAge: valueOr(o.MaxAge, defaultMaxAge), MaxSize: valueOr(o.MaxSize, defaultMaxSize),
		MaxBackups: valueOr(o.MaxBackups, defaultMaxBackups), Compress: valueOr(o.Compress, true),
	}
	// It opens the file at the first write.
	if _, err := l.Write(nil); err != nil {
		return nil, err
	}
	return l, nil
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
