// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// parseLevel reads slog's levels and Multus' names for them.
func parseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "", "verbose", "info":
		return slog.LevelInfo, nil
	case "debug":
		return slog.LevelDebug, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error", "panic":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is not a level; use debug, verbose, warn or error", text)
}

// NewLogger makes the daemon's logger as the configuration says: to logFile,
// to stderr, or both; to stderr when it says nothing. The function that it
// returns closes the file.
func NewLogger(c *Config) (*slog.Logger, func() error, error) {
	level, err := parseLevel(c.LogLevel)
	if err != nil {
		return nil, nil, err
	}
	var out []io.Writer
	if c.LogFile == "" && c.LogToStderr == nil || c.LogToStderr != nil && *c.LogToStderr {
		out = append(out, os.Stderr) // first: what comes after a full disk would get nothing
	}
	closeFile := func() error { return nil }
	if c.LogFile != "" {
		f, err := openLogFile(c.LogFile, c.LogOptions)
		if err != nil {
			return nil, nil, fmt.Errorf("logFile: %w; name another file, or log to stderr instead", err)
		}
		out = append(out, f)
		closeFile = f.Close
	}
	h := slog.NewTextHandler(io.MultiWriter(out...), &slog.HandlerOptions{Level: level})
	return cutting(slog.New(h)), closeFile, nil
}
