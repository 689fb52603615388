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

// TestInitHasEveryKey holds the files that init writes to the keys that there are.
func TestInitHasEveryKey(t *testing.T) {
	for file, dir := range map[string]string{"init-thick.yaml": "conformance/thick", "init-runtime.yaml": "conformance/runtime"} {
		written, err := os.ReadFile("../targets/" + file)
		if err != nil {
			t.Fatal(err)
		}
		s := &source{root: "../..", packages: map[string]*parsed{}}
		for _, r := range s.keys(dir, "File", "") {
			key := r.name[strings.LastIndex(r.name, ".")+1:]
			if !strings.Contains(string(written), key+":") {
				t.Errorf("%s does not have the key %s", file, r.name)
			}
		}
		for _, r := range s.features(dir) {
			if r.name != "panic" && !strings.Contains(string(written), r.name) {
				t.Errorf("%s does not name the feature %s", file, r.name)
			}
		}
		if s.err != nil {
			t.Fatal(s.err)
		}
	}
}
