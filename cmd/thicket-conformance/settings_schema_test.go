// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/thicket-cni/thicket/conformance/target"
)

var update = flag.Bool("update", false, "write the schema of --config-file anew")

const settingsSchema = "../../conformance/schemas/settings.json"

// schemaOfSettings describes the file that --config-file names: a key for each
// flag of any command.
func schemaOfSettings(t *testing.T) []byte {
	t.Helper()
	properties := map[string]any{}
	for name, f := range settings(root()) {
		if name == configFile {
			continue
		}
		property := map[string]any{"description": f.Usage}
		switch kind := f.Value.Type(); kind {
		case "bool":
			property["type"] = "boolean"
		case "int", "uint64":
			property["type"] = "integer"
		case "duration":
			property["type"], property["pattern"] = "string", `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`
		case "string":
			property["type"] = []string{"string", "number"}
		case "stringSlice", "stringArray":
			property["type"], property["items"] = []string{"string", "array"}, map[string]any{"type": "string"}
		default:
			// Values of a type of our own are checked by the flag itself.
			property["type"] = []string{"string", "array", "number", "boolean"}
		}
		properties[name] = property
	}
	data, err := json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": target.Schemas + "settings.json",
		"title": "Flags of thicket-conformance: the file that --config-file names",
		"type":  "object", "additionalProperties": false, "properties": properties,
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

// TestSettingsSchema compares the schema with the flags, and holds files to it.
func TestSettingsSchema(t *testing.T) {
	made := schemaOfSettings(t)
	if *update {
		if err := os.WriteFile(settingsSchema, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if committed, err := os.ReadFile(settingsSchema); err != nil || !bytes.Equal(committed, made) {
		t.Fatalf("settings.json is stale (%v); make generate writes it", err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(made))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("settings.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("settings.json")
	if err != nil {
		t.Fatal(err)
	}
	for text, wrong := range map[string]string{
		"target: a.yaml\nonly: [SOCK-04]\nseed: 7\nstrict-features: true\nwaivers: w.yaml\n": "",
		"only: SOCK-*\nimplementation-version: 1.2\n":                                        "",
		"targt: a.yaml":     "targt",
		"seed: many":        "/seed",
		"only: [{a: b}]":    "/only",
		"unclaimed: 'true'": "/unclaimed",
	} {
		asJSON, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		file, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		switch err := s.Validate(file); {
		case (err != nil) != (wrong != ""):
			t.Errorf("%q: %v", text, err)
		case err != nil && !strings.Contains(err.Error(), wrong):
			t.Errorf("%q: want %q in: %v", text, wrong, err)
		}
	}
}
