// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"strconv"

	"github.com/thicket-cni/thicket/pkg/brief"
)

// cutter is a handler that cuts what somebody else has written, such as a
// delegate's error, before it fills the log (SEC-12).
type cutter struct{ slog.Handler }

// cutting returns a logger whose attributes are cut, whoever made it.
func cutting(log *slog.Logger) *slog.Logger {
	if _, already := log.Handler().(cutter); already {
		return log
	}
	return slog.New(cutter{log.Handler()})
}

// Handle implements slog.Handler.
func (c cutter) Handle(ctx context.Context, r slog.Record) error {
	short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		short.AddAttrs(cutAttr(a))
		return true
	})
	return c.Handler.Handle(ctx, short)
}

// WithAttrs implements slog.Handler.
func (c cutter) WithAttrs(attrs []slog.Attr) slog.Handler {
	short := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		short[i] = cutAttr(a)
	}
	return cutter{c.Handler.WithAttrs(short)}
}

// WithGroup implements slog.Handler.
func (c cutter) WithGroup(name string) slog.Handler { return cutter{c.Handler.WithGroup(name)} }

// cutAttr cuts a text or an error. A stack is the daemon's own.
func cutAttr(a slog.Attr) slog.Attr {
	var text string
	switch v := a.Value.Any().(type) {
	case string:
		text = v
	case error:
		text = v.Error()
	}
	if len(text) <= brief.Line || a.Key == "stack" {
		return a
	}
	short := brief.Cut(text, brief.Line)
	if quoted := len(strconv.Quote(short)); quoted > 2*brief.Line { // mostly what has to be escaped
		short = brief.Cut(text, brief.Line*brief.Line/quoted)
	}
	return slog.String(a.Key, short)
}
