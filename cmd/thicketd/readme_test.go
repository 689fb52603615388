// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/pkg/daemon"
)

// TestReadmeDescribesEveryKey compares README.md's tables with the daemon's
// configuration.
func TestReadmeDescribesEveryKey(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(string(readme), -1) {
		for key := range strings.SplitSeq(row[1], ", ") {
			described = append(described, strings.Trim(key, "`"))
		}
	}
	var keys []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[daemon.Config]()) {
		if field.Anonymous {
			continue // its own fields are visible too
		}
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		keys = append(keys, key)
		if !slices.Contains(described, key) {
			t.Errorf("README.md has no row for the key %s", key)
		}
	}
	for _, key := range described {
		if !strings.Contains(key, "/") && !slices.Contains(keys, key) {
			t.Errorf("README.md describes the key %s, which the configuration does not have", key)
		}
	}
}
