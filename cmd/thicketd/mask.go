// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// masked is printed in place of a secret.
const masked = "(masked)"

// secretWords are in the names of keys whose values nobody is shown (SEC-04).
var secretWords = []string{"secret", "password", "passwd", "passphrase", "token", "credential", "kubeconfig", "privatekey", "apikey", "accesskey", "psk", "authorization", "certificate"}

// userInfo is a password in a URL.
var userInfo = regexp.MustCompile(`(://[^/\s:@]*):[^/\s@]+@`)

// mask returns JSON in a line without its secrets: values of keys whose names say
// that they are, at any depth, and passwords in URLs. What is not JSON is a secret
// as a whole.
func mask(data []byte) string {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return masked
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(maskValue(v)) != nil {
		return masked
	}
	return strings.TrimSpace(out.String())
}

// maskIndented is mask in many lines.
func maskIndented(data []byte, indent string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(mask(data)), indent, "  ") != nil {
		return indent + masked
	}
	return indent + out.String()
}

func maskValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Collect(maps.Keys(v)) {
			if isSecret(key) {
				v[key] = masked
			} else {
				v[key] = maskValue(v[key])
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = maskValue(v[i])
		}
		return v
	case string:
		return userInfo.ReplaceAllString(v, "$1:"+masked+"@")
	default:
		return v
	}
}

func isSecret(key string) bool {
	name := strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(key))
	return name == "key" || slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(name, word) })
}
