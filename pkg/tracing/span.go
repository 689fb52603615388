// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/thicket-cni/thicket/pkg/brief"
)

// scope is what the spans say they come from.
const scope = "github.com/thicket-cni/thicket"

// Root begins the span of a request. The function that it returns ends it, with
// what the request failed with. A nil provider makes no span.
func Root(ctx context.Context, from trace.TracerProvider, name string, about ...attribute.KeyValue) (context.Context, func(error)) {
	if from == nil {
		return ctx, func(error) {}
	}
	return begin(ctx, from, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(about...))
}

// Recorded reports whether the spans of a context's request are wanted.
func Recorded(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Span begins a part of a request, as Root does; nothing when the request's
// spans are not wanted.
func Span(ctx context.Context, name string, about ...attribute.KeyValue) (context.Context, func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(error) {}
	}
	return begin(ctx, parent.TracerProvider(), name, trace.WithAttributes(about...))
}

func begin(ctx context.Context, from trace.TracerProvider, name string, options ...trace.SpanStartOption) (context.Context, func(error)) {
	ctx, span := from.Tracer(scope).Start(ctx, name, options...)
	return ctx, func(err error) {
		if err != nil {
			// A delegate's text may be of any length (SEC-12).
			span.SetStatus(codes.Error, brief.Cut(err.Error(), brief.Line))
		}
		span.End()
	}
}
