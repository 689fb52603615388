// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containernetworking/cni/pkg/types"
)

// shimLog writes the shim's log lines; without a sink it writes nothing. Standard output is never one: it belongs to
// the result (SHIM-03).
type shimLog struct {
	*slog.Logger
	file *os.File
}

// openShimLog opens what the configuration asks for. A log file that cannot be opened is a warning and not an error:
// a sandbox must not stay undeleted for want of a log.
func openShimLog(c *ShimNetConf) *shimLog {
	var out sinks
	file, err := openLogFile(c.LogFile)
	if file != nil {
		out = append(out, file)
	}
	if c.LogToStderr {
		out = append(out, os.Stderr)
	}
	if len(out) == 0 {
		return &shimLog{Logger: slog.New(slog.DiscardHandler)}
	}
	level, known := logLevel(c.LogLevel)
	l := &shimLog{Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})), file: file}
	if err != nil {
		l.Warn("the log file cannot be used", "error", err)
	}
	if !known {
		l.Warn("unknown logLevel, verbose is used", "logLevel", c.LogLevel)
	}
	return l
}

// close ends the log; what was written is in the file already.
func (l *shimLog) close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

// outcome writes the one line per command that an operator greps for. The configuration is not in it, since it may
// carry secrets (SEC-04).
func (l *shimLog) outcome(err error, attrs ...any) {
	if err == nil {
		l.Info("done", attrs...)
		return
	}
	var cniError *types.Error
	if errors.As(err, &cniError) {
		attrs = append(attrs, "code", cniError.Code)
	}
	l.Error("failed", append(attrs, "error", err)...)
}

// openLogFile opens path for appending; an empty path means no file. The last component may not be a symlink, which keeps
// /dev/stdout and its kin out, and opening a FIFO that nobody reads must not block.
func openLogFile(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("logFile %q is not an absolute path", path)
	}
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		// Like Multus, make the directory: /var/log/<something> rarely exists on a fresh node.
		if err = os.MkdirAll(filepath.Dir(path), 0o750); err == nil {
			file, err = os.OpenFile(path, flags, 0o600)
		}
	}
	return file, err
}

// logLevel maps Multus' names to slog's and tells whether the name is known. Panic, which only Multus has, is above
// every line that the shim writes.
func logLevel(name string) (slog.Level, bool) {
	switch strings.ToLower(name) {
	case "", "verbose", "info":
		return slog.LevelInfo, true
	case "debug":
		return slog.LevelDebug, true
	case "warning", "warn":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	case "panic":
		return slog.LevelError + 4, true
	}
	return slog.LevelInfo, false
}

// sinks writes to each of its writers. A full disk under the log file does not silence standard error, and no failure
// to log is the command's.
type sinks []io.Writer

func (s sinks) Write(line []byte) (int, error) {
	for _, w := range s {
		_, _ = w.Write(line)
	}
	return len(line), nil
}
