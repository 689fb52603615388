// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"strings"
	"testing"
)

func FuzzVariables(f *testing.F) {
	f.Add(parent, "a=1", "a=b")
	f.Add("0", "0", "!\n=") // the library takes a newline for white space
	f.Fuzz(func(t *testing.T, p, state, baggage string) {
		for _, v := range Variables(FromVariables(t.Context(), map[string]string{"TRACEPARENT": p, "TRACESTATE": state, "BAGGAGE": baggage})) {
			if strings.ContainsAny(v, "\x00\n\r") {
				t.Errorf("%q", v)
			}
		}
	})
}
