// SPDX-License-Identifier: Apache-2.0

// Package tracing carries the trace context of a request from the variables in
// which a container runtime passes it (TRACEPARENT, TRACESTATE, BAGGAGE; W3C
// Trace Context and Baggage) to those of the delegates (SEC-05), and makes the
// spans of a request where somebody wants them. It exports nothing: see otlp.
package tracing

import (
	"context"
	"strings"
	"unicode"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The variables of a trace context, as OpenTelemetry names them.
const (
	parentVariable  = "TRACEPARENT"
	stateVariable   = "TRACESTATE"
	baggageVariable = "BAGGAGE"
)

// The longest values that are read, in bytes. The standards bound the members of
// a list and not what is around them.
const (
	maxParent  = 256
	maxState   = 8 << 10
	maxBaggage = 8 << 10
)

type baggageKey struct{}

// FromVariables returns a context with the trace context in a request's
// variables, and no other. What is malformed or too long is left out: of a parent
// with its state, of a state or a baggage alone.
func FromVariables(ctx context.Context, variables map[string]string) context.Context {
	former, _ := ctx.Value(baggageKey{}).(string)
	if text := parseBaggage(variables[baggageVariable]); text != former {
		ctx = context.WithValue(ctx, baggageKey{}, text)
	}
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	parent, state := variables[parentVariable], variables[stateVariable]
	if parent == "" || len(parent) > maxParent {
		return ctx
	}
	carrier := propagation.MapCarrier{"traceparent": parent}
	if len(state) <= maxState {
		carrier["tracestate"] = state
	}
	return propagation.TraceContext{}.Extract(ctx, carrier)
}

// parseBaggage returns a baggage as it was written, because the library would
// write it in another order; "" when it is malformed. The library takes every
// white space for the blank or tab that may be around a member, a newline too.
func parseBaggage(text string) string {
	if text == "" || len(text) > maxBaggage || strings.ContainsFunc(text, steers) {
		return ""
	}
	if b, err := baggage.Parse(text); err != nil || b.Len() == 0 {
		return ""
	}
	return strings.TrimSpace(text)
}

// steers reports whether a character is a control character other than a tab.
func steers(r rune) bool { return unicode.IsControl(r) && r != '\t' }

// Variables returns the trace context for a process, as NAME=value; none when
// there is no trace.
func Variables(ctx context.Context) []string {
	var variables []string
	if trace.SpanContextFromContext(ctx).IsValid() {
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		variables = append(variables, parentVariable+"="+carrier["traceparent"])
		if state := carrier["tracestate"]; state != "" {
			variables = append(variables, stateVariable+"="+state)
		}
	}
	if text, _ := ctx.Value(baggageKey{}).(string); text != "" {
		variables = append(variables, baggageVariable+"="+text)
	}
	return variables
}

// ID returns the id of a context's trace, "" when there is none.
func ID(ctx context.Context) string {
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		return id.String()
	}
	return ""
}
