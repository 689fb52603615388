// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"strings"
	"testing"
)

type inner struct {
	Path string `yaml:"path"`
	Mode uint32 `yaml:"mode"`
}

type document struct {
	Name  string `yaml:"name"`
	Outer struct {
		Command []string         `yaml:"command"`
		Env     map[string]inner `yaml:"env"`
	} `yaml:"outer"`
	Files []inner        `yaml:"files"`
	Free  map[string]any `yaml:"free"`
}

func TestDecode(t *testing.T) {
	var d document
	if err := Decode([]byte("name: x\nfiles: [{path: a, mode: 0o600}]\nfree: {any: {thing: 1}}\n"), &d); err != nil || d.Files[0].Mode != 0o600 {
		t.Errorf("%+v, %v", d, err)
	}
	if err := Decode([]byte("# nothing\n"), &d); err != nil || d.Name != "x" {
		t.Errorf("%+v, %v", d, err)
	}
	for text, want := range map[string]string{
		"nam: x\n":                          `line 1: the key "nam" is unknown; is "name" meant?`,
		"\nouter:\n  comand: [a]\n":         `line 3: the key "comand" is unknown; is "command" meant?`,
		"outer: {env: {A: {paht: x}}}\n":    `line 1: the key "paht" is unknown; is "path" meant?`,
		"files:\n- path: x\n  zzzz: y\n":    `line 3: the key "zzzz" is unknown; there are path, mode`,
		"files:\n- mode: x\nnone: y\n":      `line 2: cannot unmarshal !!str`,
		"name: [a\n":                        "yaml: line ",
		"free: {a: 1}\nnames: y\nfile: b\n": `line 2: the key "names" is unknown; is "name" meant?; line 3: the key "file" is unknown; is "files" meant?`,
	} {
		var d document
		if err := Decode([]byte(text), &d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want it to have %s", text, err, want)
		}
	}
}
