// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

func parsed(t *testing.T, manifest string) (names, problems []string) {
	t.Helper()
	objects, problems := parse("f.yaml", []byte(manifest), slog.New(slog.DiscardHandler))
	for _, o := range objects {
		names = append(names, fmt.Sprintf("%s %s/%s %s", o.kind, o.key.namespace, o.key.name, o.place))
	}
	return names, problems
}

func TestParseTakesObjects(t *testing.T) {
	tests := map[string]struct {
		manifest string
		want     []string
	}{
		"empty":            {"", nil},
		"comments only":    {"# nothing here\n---\n# nor here\n---\n", nil},
		"pod":              {"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n", []string{"Pod default/a f.yaml:1"}},
		"other kind":       {"apiVersion: apps/v1\nkind: Deployment\nmetadata: 7\n", nil},
		"definition":       {"kind: NetworkAttachmentDefinition\napiVersion: k8s.cni.cncf.io/v1\nmetadata: {name: n.v1, namespace: x}\n", []string{"NetworkAttachmentDefinition x/n.v1 f.yaml:1"}},
		"several":          {"---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n--- # next\napiVersion: v1\nkind: Pod\nmetadata: {name: b}\n", []string{"Pod default/a f.yaml:2", "Pod default/b f.yaml:6"}},
		"directive":        {"%YAML 1.1\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n...\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b}\n", []string{"Pod default/a f.yaml:3", "Pod default/b f.yaml:8"}},
		"json":             {"{\n\t\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\t\"metadata\": {\"name\": \"a\", \"namespace\": \"b\"}\n}\n", []string{"Pod b/a f.yaml:1"}},
		"list":             {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Service\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n", []string{"Pod default/a f.yaml:4", "Pod default/b f.yaml:9"}},
		"list of nothing":  {"apiVersion: v1\nkind: List\nitems:\n", nil},
		"windows newlines": {"apiVersion: v1\r\nkind: Pod\r\nmetadata: {name: a}\r\n---\r\napiVersion: v1\r\nkind: Pod\r\nmetadata: {name: b}\r\n", []string{"Pod default/a f.yaml:1", "Pod default/b f.yaml:5"}},
		"anchor":           {"apiVersion: v1\nkind: Pod\nmetadata: {name: &n a, namespace: *n}\n", []string{"Pod a/a f.yaml:1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems := parsed(t, tt.manifest)
			if len(problems) > 0 || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, problems %q; want %q", got, problems, tt.want)
			}
		})
	}
}

func TestParseReportsOneDocument(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n"
	const def = "apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata:\n  name: a\n"
	tests := map[string]struct{ bad, want string }{
		"syntax":             {"apiVersion: v1\nkind: Pod\n\tx: y\n", "f.yaml:2: not valid YAML near this line: found a tab"},
		"unknown anchor":     {"apiVersion: *v\n", "f.yaml:1: not valid YAML near this line: unknown anchor"},
		"no mapping":         {"- a\n", "f.yaml:1: a manifest has to be a mapping with apiVersion, kind and metadata, this is a list"},
		"no kind":            {"apiVersion: v1\n", "f.yaml:1: kind is missing"},
		"kind no string":     {"kind: 3\n", "f.yaml:1: kind: want a string, got the number 3; put it in quotes"},
		"pod's version":      {"apiVersion: v2\nkind: Pod\n", `f.yaml:1: Pod has apiVersion "v2"; write apiVersion: v1`},
		"definition version": {"kind: NetworkAttachmentDefinition\n", `f.yaml:1: NetworkAttachmentDefinition has apiVersion ""; write apiVersion: k8s.cni.cncf.io/v1`},
		"no metadata":        {"apiVersion: v1\nkind: Pod\n", "f.yaml:1: Pod without metadata"},
		"no name":            {"apiVersion: v1\nkind: Pod\nmetadata:\n  generateName: x-\n", "f.yaml:4: Pod without a name"},
		"name with a path":   {"apiVersion: v1\nkind: Pod\nmetadata: {name: ../a}\n", `f.yaml:3: metadata.name "../a" is not a DNS-1123 name`},
		"namespace":          {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: a.b}\n", `f.yaml:3: metadata.namespace "a.b" is not a DNS-1123 label`},
		"number as name":     {"apiVersion: v1\nkind: Pod\nmetadata:\n  name: 12\n", "f.yaml:4: name: want a string, got the number 12; put it in quotes"},
		"number as uid":      {pod + "  uid: 12\n", "f.yaml:5: uid: want a string"},
		"annotation":         {pod + "  annotations:\n    a: b\n    c: true\n", "f.yaml:7: annotations c: want a string, got the truth value true; put it in quotes"},
		"empty annotation":   {pod + "  annotations:\n    c:\n", "f.yaml:6: annotations c: want a string, got nothing"},
		"annotations":        {pod + "  annotations: [a]\n", "f.yaml:5: annotations: want a mapping of strings, got a list"},
		"annotation twice":   {pod + "  annotations:\n    a: b\n    a: b\n", "f.yaml:7: annotations: a is given twice"},
		"key twice":          {"apiVersion: v1\nkind: Pod\nkind: Pod\n", "f.yaml:3: kind is given twice"},
		"merge key":          {"apiVersion: v1\nkind: Pod\nmetadata:\n  <<: {name: a}\n", "f.yaml:4: merge keys (<<) are not supported"},
		"config as mapping":  {def + "spec:\n  config:\n    type: bridge\n", "f.yaml:7: config: want a string, got a mapping; write it as text"},
		"spec as string":     {def + "spec: x\n", "f.yaml:5: want a mapping with the key config, got a string"},
		"items":              {"apiVersion: v1\nkind: List\nitems: 3\n", "f.yaml:3: items: want a list, got the number 3"},
		"list in a list":     {"&l\napiVersion: v1\nkind: List\nitems:\n- *l\n", "f.yaml:1: a List inside a List"},
		"item of nothing":    {"apiVersion: v1\nkind: List\nitems:\n-\n", "f.yaml:4: a manifest has to be a mapping"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems := parsed(t, tt.bad)
			if len(got) > 0 || len(problems) != 1 || !strings.HasPrefix(problems[0], tt.want) {
				t.Fatalf("got %q, problems %q; want one that begins with %q", got, problems, tt.want)
			}
			// Behind another document the line moves and the neighbours stay.
			const good = "apiVersion: v1\nkind: Pod\nmetadata: {name: good}\n"
			got, problems = parsed(t, good+"---\n"+tt.bad+"---\n"+good)
			if len(got) != 2 || len(problems) != 1 {
				t.Errorf("between others: got %q, problems %q; want both others and one problem", got, problems)
			}
		})
	}
}

func TestParseKeepsConfig(t *testing.T) {
	objects, problems := parse("f", []byte("apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\n"+
		"metadata: {name: n, annotations: {a: b}}\nspec:\n  config: |\n    {\"x\":  12345678901234567890}\n"), slog.Default())
	if len(objects) != 1 || len(problems) > 0 {
		t.Fatalf("got %v, %v", objects, problems)
	}
	want := &Definition{Namespace: "default", Name: "n", Config: "{\"x\":  12345678901234567890}\n", Annotations: map[string]string{"a": "b"}}
	if !reflect.DeepEqual(objects[0].definition, want) {
		t.Errorf("got %+v, want %+v", objects[0].definition, want)
	}
}

func TestNames(t *testing.T) {
	for _, s := range []string{"a", "a-b", "0", strings.Repeat("a", 63)} {
		if !ValidName(s) || !ValidNamespace(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", "A", "-a", "a-", "a/b", "..", ".", "a..b", "a_b", "a\n", strings.Repeat("a", 254)} {
		if ValidName(s) || ValidNamespace(s) {
			t.Errorf("%q is accepted", s)
		}
	}
	if !ValidName("a.b") || ValidNamespace("a.b") {
		t.Error("a dot belongs into names and not into namespaces")
	}
}
