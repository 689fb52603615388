// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"

	"github.com/thicket-cni/thicket/conformance/target"
)

// unknownKey is how the YAML library words a key that is unknown.
var unknownKey = regexp.MustCompile(`^line (\d+): field (\S+) not found in type (\S+)$`)

// explain words an error of the YAML library with the file, its line, and for a
// key that is unknown the nearest one.
func explain(source string, err error) error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return fmt.Errorf("target %s: %w", source, err)
	}
	var texts []string
	for _, text := range typed.Errors {
		if m := unknownKey.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("line %s: the key %q is unknown%s", m[1], m[2], suggestion(m[2], keysOf(m[3])))
		}
		texts = append(texts, text)
	}
	return fmt.Errorf("target %s: %s", source, strings.Join(texts, "; "))
}

// keysOf are the keys of the part of a target file that is decoded into a type.
func keysOf(name string) []string {
	var keys []string
	for _, value := range []any{file{}, pluginKeys{}, hostKeys{}, daemonKeys{}, target.PlacedFile{}} {
		t := reflect.TypeOf(value)
		if t.String() != name {
			continue
		}
		for i := range t.NumField() {
			key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			keys = append(keys, key)
		}
	}
	return keys
}

// suggestion names the word that is nearest to another, or all of them when none
// is near.
func suggestion(word string, known []string) string {
	nearest, least := "", len(word)/2+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < least {
			nearest, least = k, d
		}
	}
	if nearest != "" {
		return fmt.Sprintf("; is %q meant?", nearest)
	}
	return "; there are " + strings.Join(known, ", ")
}
