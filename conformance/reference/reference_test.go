// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write TARGETS.md")

// TestTargetsFile holds TARGETS.md to the code.
func TestTargetsFile(t *testing.T) {
	const path = "../TARGETS.md"
	want, err := Write("../..")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("conformance/TARGETS.md is not what the code says (%v); run make generate", err)
	}
}

// TestInitHasEveryKey holds the file that init writes to the keys that there are.
func TestInitHasEveryKey(t *testing.T) {
	written, err := os.ReadFile("../targets/init-thick.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := &source{root: "../..", packages: map[string]*parsed{}}
	for _, r := range s.keys("conformance/thick", "File", "") {
		key := r.name[strings.LastIndex(r.name, ".")+1:]
		if !strings.Contains(string(written), key+":") {
			t.Errorf("init-thick.yaml does not have the key %s", r.name)
		}
	}
	for _, r := range s.features("conformance/thick") {
		if r.name != "panic" && !strings.Contains(string(written), r.name) {
			t.Errorf("init-thick.yaml does not name the feature %s", r.name)
		}
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
}
