// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"slices"
	"strings"
	"testing"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestVariablesComeThrough(t *testing.T) {
	for name, c := range map[string]struct {
		given map[string]string
		want  []string
	}{
		"none": {},
		"all": {map[string]string{"TRACEPARENT": parent, "TRACESTATE": "b=2,a=1", "BAGGAGE": "z=1,a=DF%2028;p=q", "OTHER": "x"},
			[]string{"TRACEPARENT=" + parent, "TRACESTATE=b=2,a=1", "BAGGAGE=z=1,a=DF%2028;p=q"}},
		"not sampled":             {map[string]string{"TRACEPARENT": parent[:53] + "00"}, []string{"TRACEPARENT=" + parent[:53] + "00"}},
		"a later version":         {map[string]string{"TRACEPARENT": "cc" + parent[2:] + "-more"}, []string{"TRACEPARENT=" + parent}},
		"baggage alone":           {map[string]string{"BAGGAGE": "a=b"}, []string{"BAGGAGE=a=b"}},
		"state without parent":    {map[string]string{"TRACESTATE": "a=1"}, nil},
		"malformed state":         {map[string]string{"TRACEPARENT": parent, "TRACESTATE": "no state"}, []string{"TRACEPARENT=" + parent}},
		"malformed parent":        {map[string]string{"TRACEPARENT": "x" + parent, "TRACESTATE": "a=1"}, nil},
		"upper case":              {map[string]string{"TRACEPARENT": strings.ToUpper(parent)}, nil},
		"no trace id":             {map[string]string{"TRACEPARENT": "00-" + strings.Repeat("0", 32) + parent[35:]}, nil},
		"no span id":              {map[string]string{"TRACEPARENT": parent[:36] + strings.Repeat("0", 16) + "-01"}, nil},
		"the version that is not": {map[string]string{"TRACEPARENT": "ff" + parent[2:]}, nil},
		"a second line":           {map[string]string{"TRACEPARENT": parent + "\nLD_PRELOAD=/evil.so"}, nil},
		"malformed baggage":       {map[string]string{"BAGGAGE": "=x"}, nil},
		"a NUL in baggage":        {map[string]string{"BAGGAGE": "a=b\x00c"}, nil},
		"a line in baggage":       {map[string]string{"BAGGAGE": "a=b\nc=d"}, nil},
		"endless baggage":         {map[string]string{"BAGGAGE": "a=" + strings.Repeat("b", maxBaggage)}, nil},
		"endless state":           {map[string]string{"TRACEPARENT": parent, "TRACESTATE": "a=" + strings.Repeat("b", maxState)}, []string{"TRACEPARENT=" + parent}},
		"endless parent":          {map[string]string{"TRACEPARENT": "cc" + parent[2:] + "-" + strings.Repeat("x", maxParent)}, nil},
	} {
		if got := Variables(FromVariables(t.Context(), c.given)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestNoSpanWithoutRoot: what nobody wants to see costs nothing.
func TestNoSpanWithoutRoot(t *testing.T) {
	ctx := FromVariables(t.Context(), map[string]string{"TRACEPARENT": parent})
	root, end := Root(ctx, nil, "request")
	end(nil)
	part, end := Span(root, "part")
	end(nil)
	if part != ctx || Recorded(part) {
		t.Error("a span was made")
	}
	if n := testing.AllocsPerRun(100, func() { _, end := Span(ctx, "part"); end(nil) }); n != 0 {
		t.Errorf("%v allocations for a span that nobody wants", n)
	}
	if n := testing.AllocsPerRun(100, func() { Variables(FromVariables(t.Context(), map[string]string{"CNI_COMMAND": "ADD"})) }); n > 1 {
		t.Errorf("%v allocations for a request without a trace", n)
	}
	if ID(ctx) != parent[3:35] || ID(t.Context()) != "" {
		t.Errorf("trace id %q", ID(ctx))
	}
}
