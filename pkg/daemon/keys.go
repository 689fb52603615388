// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// multusKeys are keys of Multus' configuration that have no effect here: they
// are not mistakes, but a node that relies on one should be told.
var multusKeys = []string{"namespace", "allowTryDeleteOnErr"}

// silentKeys belong to any CNI configuration and mean nothing to the daemon.
var silentKeys = []string{"name", "type"}

// checkKeys warns of keys that have no effect.
func checkKeys(data []byte, source string) []string {
	known := configKeys()
	var warnings []string
	keys := slices.Sorted(maps.Keys(topLevel(data)))
	for _, key := range keys {
		switch {
		case slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, key) }), slices.Contains(silentKeys, key):
			// encoding/json takes keys in any case, so they do have an effect.
		case slices.Contains(multusKeys, key):
			warnings = append(warnings, fmt.Sprintf("%s:%d: %s has no effect in this version and is ignored", source, lineOfKey(data, key), key))
		default:
			near := nearest(key, append(known, multusKeys...))
			warnings = append(warnings, fmt.Sprintf("%s:%d: unknown key %q is ignored; did you mean %q?", source, lineOfKey(data, key), key, near))
		}
	}
	return warnings
}

// configKeys lists the keys of Config.
func configKeys() []string {
	var keys []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if field.Anonymous {
			continue // its own fields are visible too
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		keys = append(keys, name)
	}
	return keys
}

// nearest returns the candidate with the smallest edit distance to word.
func nearest(word string, candidates []string) string {
	distance := func(candidate string) int {
		return levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(candidate))
	}
	return slices.MinFunc(candidates, func(a, b string) int {
		return distance(a) - distance(b)
	})
}
