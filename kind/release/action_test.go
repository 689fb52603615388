// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"
)

// action is what a runner reads of an action.yml.
type action struct {
	Inputs map[string]struct {
		Default  string
		Required bool
	}
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []step
	}
}

type step struct {
	ID, Name, If, Shell, Run, Uses string
	Env, With                      map[string]string
}

// steps are the outputs of steps by their ids.
type steps map[string]map[string]string

// runner does with the steps of a composite action what GitHub's does.
type runner struct {
	t                 *testing.T
	dir               string
	inputs, github    map[string]string
	outputs           steps
	failed            bool
	log               strings.Builder
	uploaded, summary string
}

func readAction(t *testing.T) *action {
	t.Helper()
	content, err := os.ReadFile("../../.github/actions/conformance/action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var a action
	if err := yaml.Unmarshal(content, &a); err != nil {
		t.Fatal(err)
	}
	return &a
}

// run runs all steps with the inputs, and returns what a user sees of it.
func (a *action) run(t *testing.T, inputs map[string]string) *runner {
	t.Helper()
	r := &runner{t: t, dir: t.TempDir(), inputs: map[string]string{}, github: map[string]string{"action_ref": ""}, outputs: steps{}}
	for name, input := range a.Inputs {
		value, given := inputs[name]
		if !given && input.Required {
			t.Fatalf("the input %s is required", name)
		}
		if !given {
			value = input.Default
		}
		r.inputs[name] = value
	}
	for name := range inputs {
		if _, known := a.Inputs[name]; !known {
			t.Fatalf("the action has no input %s", name)
		}
	}
	for _, s := range a.Runs.Steps {
		r.step(&s)
	}
	return r
}

func (r *runner) step(s *step) {
	condition := s.If
	if condition == "" {
		condition = "success()"
	}
	if !truth(r.evaluate(strings.TrimSuffix(strings.TrimPrefix(condition, "${{"), "}}"))) {
		return
	}
	if s.Uses != "" {
		r.use(s)
		return
	}
	if s.Shell != "bash" {
		r.t.Fatalf("step %s: shell %q; a composite action has to name one", s.Name, s.Shell)
	}
	output, summary := filepath.Join(r.dir, "output"), filepath.Join(r.dir, "summary")
	// A runner's words for bash.
	c := exec.CommandContext(r.t.Context(), "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", s.Run)
	c.Dir, c.Stdout, c.Stderr = r.dir, &r.log, &r.log
	c.Env = append(os.Environ(), "GITHUB_OUTPUT="+output, "GITHUB_STEP_SUMMARY="+summary, "RUNNER_TEMP="+filepath.Join(r.dir, "temp"))
	for name, value := range s.Env {
		c.Env = append(c.Env, name+"="+r.expand(value))
	}
	if err := c.Run(); err != nil {
		r.failed = true
	}
	r.outputs[s.ID] = map[string]string{}
	if content, err := os.ReadFile(output); err == nil {
		for line := range strings.Lines(string(content)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			r.outputs[s.ID][name] = value
		}
	}
	if content, err := os.ReadFile(summary); err == nil {
		r.summary = string(content)
	}
}

// use does what upload-artifact does, as far as this test can see it.
func (r *runner) use(s *step) {
	if !strings.HasPrefix(s.Uses, "actions/upload-artifact@v") {
		r.t.Fatalf("step %s uses %s", s.Name, s.Uses)
	}
	r.uploaded = r.expand(s.With["name"]) + ": " + filepath.Join(r.dir, r.expand(s.With["path"]))
}

// expand puts values in the place of expressions.
func (r *runner) expand(text string) string {
	for {
		before, rest, found := strings.Cut(text, "${{")
		if !found {
			return text
		}
		expression, after, _ := strings.Cut(rest, "}}")
		text = before + fmt.Sprint(r.evaluate(expression)) + after
	}
}

// evaluate evaluates an expression, of those that the action has.
func (r *runner) evaluate(text string) any {
	r.t.Helper()
	tree, err := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(text + "}}"))
	if err != nil {
		r.t.Fatalf("%s: %s", text, err.Message)
	}
	return r.value(tree)
}

func (r *runner) value(of actionlint.ExprNode) any {
	switch n := of.(type) {
	case *actionlint.StringNode:
		return n.Value
	case *actionlint.FuncCallNode:
		return n.Callee == "always" || !r.failed
	case *actionlint.LogicalOpNode:
		left := r.value(n.Left)
		if truth(left) == (n.Kind == actionlint.LogicalOpNodeKindOr) {
			return left
		}
		return r.value(n.Right)
	case *actionlint.CompareOpNode:
		return (r.value(n.Left) == r.value(n.Right)) == (n.Kind == actionlint.CompareOpNodeKindEq)
	case *actionlint.VariableNode:
		return map[string]any{"inputs": r.inputs, "github": r.github, "steps": r.outputs}[n.Name]
	case *actionlint.ObjectDerefNode:
		switch in := r.value(n.Receiver).(type) {
		case map[string]string:
			value, known := in[n.Property]
			if !known {
				r.t.Fatalf("nothing is called %s", n.Property)
			}
			return value
		case steps:
			return map[string]map[string]string{"outputs": in[n.Property]}
		case map[string]map[string]string:
			return in[n.Property]
		}
	}
	r.t.Fatalf("this test's runner does not know %T", of)
	return nil
}

func truth(value any) bool { return value != false && value != "" }

// served is a server of releases with one, v0.0.1, whose archive has these programs,
// the first of them as the suite.
func served(t *testing.T, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	name := fmt.Sprintf("thicket-conformance-v0.0.1-linux-%s.tar.gz", runtime.GOARCH)
	if err := os.MkdirAll(filepath.Join(dir, "v0.0.1"), 0o750); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "v0.0.1", name)
	if err := pack(archive, programs); err != nil {
		t.Fatal(err)
	}
	packed, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, packed); err != nil {
		t.Fatal(err)
	}
	sums := fmt.Sprintf("%x  other.tar.gz\n%x  %s\n", make([]byte, 32), sum.Sum(nil), name)
	if err := os.WriteFile(filepath.Join(dir, "v0.0.1", "SHA256SUMS"), []byte(sums), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

// pack writes an archive as make release packs it.
func pack(archive string, programs []string) error {
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	zipped := gzip.NewWriter(out)
	w := tar.NewWriter(zipped)
	for i, program := range programs {
		name := filepath.Base(program)
		if i == 0 {
			name = "thicket-conformance"
		}
		content, failed := os.ReadFile(program)
		if failed == nil {
			failed = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(content))})
		}
		if failed == nil {
			_, failed = w.Write(content)
		}
		err = errors.Join(err, failed)
	}
	return errors.Join(err, w.Close(), zipped.Close(), out.Close())
}

// TestAction does with the action what a runner does, with the suite that make
// build made in the place of a released one.
func TestAction(t *testing.T) {
	suite := "../../bin/thicket-conformance"
	if _, err := os.Stat(suite); err != nil {
		t.Skip("bin/thicket-conformance is not there: make build")
	}
	if os.Geteuid() != 0 {
		t.Skip("root is needed for network namespaces and sockets")
	}
	a, releases := readAction(t), served(t, suite, "../../bin/thicket-shim", "../../bin/thicketd")
	r := a.run(t, map[string]string{"version": "v0.0.1", "releases": releases, "target": "in-process", "arguments": "--only\nSOCK-01,EP-01\n"})
	if r.failed || !strings.Contains(r.summary, "2 passed") || r.uploaded != "conformance-report: "+filepath.Join(r.dir, "conformance-report") {
		t.Errorf("failed %v, uploaded %q, summary %q:\n%s", r.failed, r.uploaded, r.summary, r.log.String())
	}
	for _, name := range []string{"report.json", "report.html", "junit.xml"} {
		if _, err := os.Stat(filepath.Join(r.dir, "conformance-report", name)); err != nil {
			t.Error(err)
		}
	}
	if program := r.expand(a.Outputs["suite"].Value); !filepath.IsAbs(program) || exec.CommandContext(t.Context(), program, "--version").Run() != nil {
		t.Errorf("the output suite is %q", program)
	}
}

// TestActionFails: a job does not become green because nothing was judged.
func TestActionFails(t *testing.T) {
	a, releases := readAction(t), served(t, "/bin/false")
	for want, inputs := range map[string]map[string]string{
		"version is missing":           {"releases": releases},
		"requested URL returned error": {"releases": releases, "version": "v9.9.9"},
		"thicket-conformance-v0.0.1":   {"releases": releases, "version": "v0.0.1"},
	} {
		inputs["target"] = "in-process"
		r := a.run(t, inputs)
		if !r.failed || !strings.Contains(r.log.String(), want) || r.uploaded == "" {
			t.Errorf("failed %v, uploaded %q, want %q:\n%s", r.failed, r.uploaded, want, r.log.String())
		}
	}
	if r := a.run(t, map[string]string{"releases": releases, "version": "v0.0.1", "target": "in-process", "artifact": ""}); r.uploaded != "" {
		t.Errorf("uploaded %q", r.uploaded)
	}
}
