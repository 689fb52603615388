// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// encode is json.Marshal. The request of a shim, of strings and bytes alone, is written without a look at its types, and
// is the same byte for byte.
func encode(v any) ([]byte, error) {
	r, known := v.(*Request)
	if !known || r == nil || r.InterfaceAttributes != nil || len(r.Env) == 0 || len(r.Config) == 0 {
		return json.Marshal(v)
	}
	b := []byte(`{"env":{`)
	for i, name := range slices.Sorted(maps.Keys(r.Env)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, name), ':'), r.Env[name])
	}
	b = base64.StdEncoding.AppendEncode(append(b, `},"config":"`...), r.Config)
	return append(b, `"}`...), nil
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	escaped := func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune(`"\<>&`, c) }
	if strings.ContainsFunc(text, escaped) {
		quoted, _ := json.Marshal(text) // of a string it cannot fail
		return append(b, quoted...)
	}
	return append(append(append(b, '"'), text...), '"')
}
