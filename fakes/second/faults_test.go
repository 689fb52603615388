// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestFaults holds the list of faults to the places where they are.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var placed []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`broken\("([a-z0-9-]+)"\)`).FindAllSubmatch(text, -1) {
			placed = append(placed, string(found[1]))
		}
	}
	var listed []string
	for _, m := range faults {
		if len(m.Cases) == 0 || m.Fault == "" || slices.Contains(listed, m.Name) {
			t.Errorf("fault %s has no case or no text, or is listed twice", m.Name)
		}
		listed = append(listed, m.Name)
		if !slices.Contains(placed, m.Name) {
			t.Errorf("fault %s is nowhere", m.Name)
		}
	}
	for _, name := range placed {
		if !slices.Contains(listed, name) {
			t.Errorf("fault %s is not listed", name)
		}
	}
}
