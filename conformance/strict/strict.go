// SPDX-License-Identifier: Apache-2.0

// Package strict reads the YAML files that people write for the suite. What it
// does not know is an error with its line, and with the known word that is
// nearest.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// unknownKey is how the YAML library words a key that is unknown.
var unknownKey = regexp.MustCompile(`^line (\d+): field (\S+) not found in type (.+)$`)

// Decode reads a YAML file into a pointer to a struct. An empty file leaves it as
// it is. A key that no struct has is an error with the line and the nearest key.
func Decode(data []byte, into any) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	err := dec.Decode(into)
	var typed *yaml.TypeError
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return nil
	case !errors.As(err, &typed):
		return err
	}
	keys := map[string][]string{}
	collect(reflect.TypeOf(into), keys)
	var texts []string
	for _, text := range typed.Errors {
		if m := unknownKey.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("line %s: the key %q is unknown%s", m[1], m[2], Suggestion(m[2], keys[m[3]]))
		}
		texts = append(texts, text)
	}
	return errors.New(strings.Join(texts, "; "))
}

// collect finds the keys of every struct that a type is made of, by the name that
// the YAML library has for it.
func collect(t reflect.Type, keys map[string][]string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		collect(t.Elem(), keys)
	case reflect.Struct:
		name := t.String()
		if _, seen := keys[name]; seen {
			return
		}
		keys[name] = nil
		for i := range t.NumField() {
			key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if key == "" || key == "-" {
				continue
			}
			keys[name] = append(keys[name], key)
			collect(t.Field(i).Type, keys)
		}
	}
}

// Suggestion names the word that is nearest to one that is unknown, or all of
// them when none is near: the end of a sentence that says that it is unknown.
func Suggestion[Word ~string](word Word, known []Word) string {
	nearest, least := "", len(word)/2+1
	var all []string
	for _, k := range known {
		all = append(all, string(k))
		if d := levenshtein.ComputeDistance(string(word), string(k)); d < least {
			nearest, least = string(k), d
		}
	}
	switch {
	case nearest != "":
		return fmt.Sprintf("; is %q meant?", nearest)
	case len(all) == 0:
		return ""
	}
	return "; there are " + strings.Join(all, ", ")
}
