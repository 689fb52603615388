// SPDX-License-Identifier: Apache-2.0

package schemas

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	generator "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	goyaml "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/target"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var update = flag.Bool("update", false, "write the schemas anew")

// schema is how one of them is generated.
type schema struct {
	title string
	value any
	// tag has the keys' names: yaml or json.
	tag string
	// open lets files have keys that the schema has not.
	open bool
	// features are those that the key features may have; nil for any.
	features map[spec.Feature]string
}

var all = map[string]schema{
	"target.json":            {"A thick plugin to judge: kind Target", &thick.File{}, "yaml", false, thick.Features},
	"plugin.json":            {"A CNI plugin to judge: kind Plugin", &plugin.File{}, "yaml", false, plugin.Features},
	"runtime.json":           {"A container runtime to judge: kind Runtime", &runtime.File{}, "yaml", false, runtime.Features},
	"waivers.json":           {"Failures that are known: kind Waivers", &report.Waivers{}, "yaml", false, nil},
	"report.json":            {"What a run found: the file report.json", &report.Report{}, "json", true, nil},
	"conformancereport.json": {"What an implementation publishes: the file report.yaml, kind ConformanceReport", &report.Published{}, "yaml", true, nil},
}

// generate makes a schema from the Go types and their comments.
func (s schema) generate(t *testing.T, name string) []byte {
	t.Helper()
	r := &generator.Reflector{FieldNameTag: s.tag, RequiredFromJSONSchemaTags: true, AllowAdditionalProperties: s.open, ExpandedStruct: true}
	if s.features != nil {
		r.Mapper = func(of reflect.Type) *generator.Schema {
			if of != reflect.TypeFor[spec.Feature]() {
				return nil
			}
			feature := &generator.Schema{Type: "string"}
			var words []string // as editors show them beside the values
			for _, f := range slices.Sorted(maps.Keys(s.features)) {
				feature.Enum, words = append(feature.Enum, string(f)), append(words, s.features[f])
			}
			feature.Extras = map[string]any{"enumDescriptions": words}
			return feature
		}
	}
	for _, dir := range []string{"../thick", "../plugin", "../runtime", "../report", "../target", "../spec"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		if err := r.AddGoComments("github.com/thicket-cni/thicket/conformance/schemas", dir); err != nil {
			t.Fatal(err)
		}
	}
	for key, text := range r.CommentMap {
		r.CommentMap[key] = strings.Join(strings.Fields(text), " ")
	}
	made := r.Reflect(s.value)
	made.ID, made.Title = generator.ID(target.Schemas+name), s.title
	data, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

// TestSchemas compares the schemas with the types.
func TestSchemas(t *testing.T) {
	for name, s := range all {
		made := s.generate(t, name)
		if *update {
			if err := os.WriteFile(name, made, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if committed, err := os.ReadFile(name); err != nil || !bytes.Equal(committed, made) {
			t.Errorf("%s is stale (%v); make generate writes it", name, err)
		}
		if !bytes.Contains(made, []byte(`"description"`)) {
			t.Errorf("%s has no descriptions", name)
		}
	}
}

// compiled is a committed schema.
func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	data, err := Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource(target.Schemas+name, document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(target.Schemas + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate holds a file's content, YAML or JSON, to a schema.
func validate(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return err
	}
	return s.Validate(document)
}

// schemaOf is the schema for a file of the repository; "" for files of other
// kinds.
func schemaOf(path string, data []byte) string {
	if filepath.Base(path) == "report.json" && filepath.Base(filepath.Dir(path)) != "schemas" {
		return "report.json"
	}
	var head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
	}
	if goyaml.Unmarshal(data, &head) != nil || head.APIVersion != report.APIVersion {
		return ""
	}
	return strings.ToLower(head.Kind) + ".json"
}

// TestRepository validates every target, waivers file and report of the
// repository, and asks each target file for the comment that tells an editor.
func TestRepository(t *testing.T) {
	schemas := map[string]*jsonschema.Schema{}
	seen := map[string]int{}
	err := filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules", "testdata"}, entry.Name()) || entry.IsDir() && path == "../../report" {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); entry.IsDir() || ext != ".yaml" && ext != ".json" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := schemaOf(path, data)
		if name == "" {
			return nil
		}
		seen[name]++
		if schemas[name] == nil {
			schemas[name] = compiled(t, name)
		}
		if err := validate(t, schemas[name], data); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		comment := target.SchemaComment(strings.TrimSuffix(name, ".json"))
		if !slices.Contains([]string{"report.json", "conformancereport.json"}, name) && !bytes.Contains(data, []byte(comment)) {
			t.Errorf("%s has no line %s", path, comment)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen["target.json"] < 5 || seen["plugin.json"] < 15 || seen["runtime.json"] < 4 {
		t.Errorf("too few files were found: %v", seen)
	}
}

// TestWritten validates what the program writes, with each optional part.
func TestWritten(t *testing.T) {
	r := &report.Report{Schema: report.SchemaVersion}
	r.Suite = report.Suite{Name: "thicket-conformance", Version: spec.Version}
	r.Target = report.Target{Name: "x", Features: []spec.Feature{"ipam"}, Undeclared: []spec.Feature{"gc"}}
	r.Implementation = report.Implementation{Publisher: report.Publisher{Organization: "o", URL: "https://example.org", Contact: []string{"@o"}}, Version: "1"}
	waiver := report.Waiver{ID: "A-01", Reason: "r", Expires: "2027-01-31"}
	r.Cases = []report.CaseResult{{ID: "A-01", Profile: "p", Level: spec.Must, State: report.Waived, Waivers: []report.Waiver{waiver},
		Editions: []report.EditionResult{{Edition: "1.0.0", State: report.Waived}}, Calls: []report.CallResult{{}}, Steps: []report.StepResult{{}}}}
	r.Waivers = []report.WaiverResult{{Waiver: waiver, Outcome: report.WaiverUsed}}
	r.Selection = &report.Selection{Only: []string{"A-*"}}
	r.Hold(&report.Report{Suite: r.Suite, Target: r.Target})
	r.Summarize()
	bare := &report.Report{Suite: r.Suite, Target: report.Target{Name: "x"}, Cases: []report.CaseResult{{ID: "A-01", Profile: "p", Level: spec.Must, State: report.Passed}}}
	bare.Summarize()
	for _, written := range []*report.Report{r, bare} {
		dir := t.TempDir()
		if err := written.Write(dir); err != nil {
			t.Fatal(err)
		}
		for file, name := range map[string]string{"report.json": "report.json", "report.yaml": "conformancereport.json"} {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, compiled(t, name), data); err != nil {
				t.Errorf("%s: %v\n%s", file, err, data)
			}
		}
	}
}

// TestWrong shows that the schemas refuse what the program refuses.
func TestWrong(t *testing.T) {
	const head = "apiVersion: conformance.thicket-cni.io/v1alpha1\n"
	const good = head + "kind: Target\nname: x\nshim: {path: a, config: b}\ndaemon: {command: [c], config: d}\n"
	for _, c := range []struct{ name, good, bad, wrong string }{
		{"target.json", good, good + "colour: red\n", "colour"},
		{"target.json", good + "features: [kill]\n", good + "features: [kil]\n", "features/0"},
		{"target.json", good, head + "kind: Target\nname: x\n", "daemon"},
		{"waivers.json", head + "kind: Waivers\nwaivers: [{id: A-01, reason: r, expires: '2027-01-31'}]\n", head + "kind: Waivers\nwaivers: [{id: A-01, reason: r, expires: soon}]\n", "expires"},
		{"waivers.json", head + "kind: Waivers\nwaivers: [{id: A-01, reason: r, expires: '2027-01-31'}]\n", head + "kind: Waivers\nwaivers: [{id: A-01, reason: r}]\n", "expires"},
		{"report.json", `{"suite":{"version":"9"},"target":{"name":"x"},"cases":[],"later":1}`, `{"suite":{"version":"9"},"target":{"name":"x"}}`, "cases"},
	} {
		s := compiled(t, c.name)
		if err := validate(t, s, []byte(c.good)); err != nil {
			t.Errorf("%s: %v", c.good, err)
		}
		if err := validate(t, s, []byte(c.bad)); err == nil || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %s", c.bad, err, c.wrong)
		}
	}
}
