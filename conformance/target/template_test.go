// SPDX-License-Identifier: Apache-2.0

package target

import (
	"slices"
	"strings"
	"testing"
)

type document struct {
	Root  string `yaml:"root"`
	Inner struct {
		Command []string          `yaml:"command"`
		Env     map[string]string `yaml:"env"`
		Files   []PlacedFile      `yaml:"files"`
	} `yaml:"inner"`
}

func TestExpand(t *testing.T) {
	t.Setenv("THICKET_TEST_DIR", "/opt/x")
	var d document
	d.Root = "${THICKET_TEST_DIR}/bin"
	d.Inner.Command = []string{"sh", "-c", "echo $HOME $(id) $${HOME:-none} ${THICKET_TEST_DIR}"}
	d.Inner.Env = map[string]string{"DIR": "${THICKET_TEST_DIR}", "PLAIN": "{{.Dir}}"}
	d.Inner.Files = []PlacedFile{{Path: "${THICKET_TEST_DIR}/f", Mode: 0o600}}
	if err := Expand(&d, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"sh", "-c", "echo $HOME $(id) ${HOME:-none} /opt/x"}
	if d.Root != "/opt/x/bin" || !slices.Equal(d.Inner.Command, want) || d.Inner.Env["DIR"] != "/opt/x" || d.Inner.Env["PLAIN"] != "{{.Dir}}" ||
		d.Inner.Files[0].Path != "/opt/x/f" || d.Inner.Files[0].Mode != 0o600 {
		t.Errorf("%+v", d)
	}
}

func TestExpandNamesTheKey(t *testing.T) {
	t.Setenv("THICKET_TEST_UNSET", "")
	for name, c := range map[string]struct {
		spoil func(*document)
		want  []string
	}{
		"root":    {func(d *document) { d.Root = "${THICKET_TEST_UNSET}" }, []string{"root: ", "THICKET_TEST_UNSET"}},
		"command": {func(d *document) { d.Inner.Command = []string{"a", "${THICKET_TEST_UNSET}"} }, []string{"inner.command[1]: ", "THICKET_TEST_UNSET"}},
		"env":     {func(d *document) { d.Inner.Env = map[string]string{"A": "${THICKET_TEST_UNSET}"} }, []string{"inner.env.A: "}},
		"files":   {func(d *document) { d.Inner.Files = []PlacedFile{{Content: "${A:-b}"}} }, []string{"inner.files[0].content: ", "${A:-b} does not name", "write $${A:-b}"}},
		"open":    {func(d *document) { d.Root = "${A" }, []string{"root: ", "${A does not name"}},
	} {
		var d document
		c.spoil(&d)
		err := Expand(&d, nil)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want it to have %s", name, err, want)
			}
		}
	}
}

func TestExpandNamesTheLine(t *testing.T) {
	t.Setenv("THICKET_TEST_UNSET", "")
	d := struct {
		Variants map[string]map[string]any `yaml:"variants"`
	}{map[string]map[string]any{"one": {"key": []any{"x", "${THICKET_TEST_UNSET}"}}}}
	err := Expand(&d, []byte("variants:\n  one:\n    key: [x, \"${THICKET_TEST_UNSET}\"]\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "line 3: variants.one.key[1]: set the environment variable") {
		t.Errorf("%v", err)
	}
	t.Setenv("THICKET_TEST_UNSET", "set")
	if err := Expand(&d, nil); err != nil || d.Variants["one"]["key"].([]any)[1] != "set" {
		t.Errorf("%v, %v", d, err)
	}
}
