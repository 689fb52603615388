// SPDX-License-Identifier: Apache-2.0

package target

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
)

// variable is what Expand replaces, and anything that looks like it.
var variable = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

// variableName is what may stand between the braces.
var variableName = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)

// Expand replaces ${NAME} by environment variables in every text of a target
// file, which is a pointer to a struct with yaml tags. $${ stands for ${ itself,
// in a script for example. A variable that is not set, and anything else that
// begins with ${, is an error that names the line of data, which is the file's
// content, and the key.
func Expand(file any, data []byte) error {
	err := expand(reflect.ValueOf(file).Elem(), "")
	var wrong *variableError
	if errors.As(err, &wrong) {
		if at := bytes.Index(data, []byte(wrong.text)); at >= 0 {
			return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:at], []byte("\n")), err)
		}
	}
	return err
}

// variableError is about a text that looks like a variable.
type variableError struct{ text, why string }

func (e *variableError) Error() string { return e.why }

func expand(v reflect.Value, key string) error {
	switch v.Kind() {
	case reflect.String:
		text, err := expandText(v.String())
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		v.SetString(text)
	case reflect.Interface:
		// A value of a map of anything: only the map can take another one.
		if v.IsNil() {
			return nil
		}
		value := reflect.New(v.Elem().Type()).Elem()
		value.Set(v.Elem())
		if err := expand(value, key); err != nil {
			return err
		}
		v.Set(value)
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if err := expand(v.Field(i), strings.TrimPrefix(key+"."+name, ".")); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := expand(v.Index(i), fmt.Sprintf("%s[%d]", key, i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(k))
			if err := expand(value, key+"."+k.String()); err != nil {
				return err
			}
			v.SetMapIndex(k, value)
		}
	}
	return nil
}

func expandText(text string) (string, error) {
	var wrong error
	text = variable.ReplaceAllStringFunc(text, func(found string) string {
		name := strings.Trim(found, "${}")
		switch value := os.Getenv(name); {
		case strings.HasPrefix(found, "$$"):
			return found[1:]
		case !variableName.MatchString(found):
			wrong = &variableError{found, fmt.Sprintf("%s does not name an environment variable; write $%s where it is to stay as it is", found, found)}
		case value == "":
			wrong = &variableError{found, fmt.Sprintf("set the environment variable %s, or write $%s where it is to stay as it is", name, found)}
		default:
			return value
		}
		return found
	})
	return text, wrong
}
