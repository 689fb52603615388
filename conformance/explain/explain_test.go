// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	plugins "github.com/thicket-cni/thicket/conformance/plugin/all"
	"github.com/thicket-cni/thicket/conformance/runtime/cases"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick/all"
	"github.com/thicket-cni/thicket/fakes/mutants/add"
	"github.com/thicket-cni/thicket/fakes/mutants/check"
	"github.com/thicket-cni/thicket/fakes/mutants/del"
	"github.com/thicket-cni/thicket/fakes/mutants/endpoint"
	"github.com/thicket-cni/thicket/fakes/mutants/hotplug"
	"github.com/thicket-cni/thicket/fakes/mutants/lifecycle"
	"github.com/thicket-cni/thicket/fakes/mutants/multinet"
	"github.com/thicket-cni/thicket/fakes/mutants/ready"
	"github.com/thicket-cni/thicket/fakes/mutants/resilience"
	"github.com/thicket-cni/thicket/fakes/mutants/security"
	"github.com/thicket-cni/thicket/fakes/mutants/shim"
	"github.com/thicket-cni/thicket/fakes/mutants/socket"
	thin "github.com/thicket-cni/thicket/fakes/plugin"
	thinruntime "github.com/thicket-cni/thicket/fakes/runtime"
)

var (
	update = flag.Bool("update", false, "write rows.json anew")
	kills  = flag.String("kills", "", "take what mutants were failed with from this mutants.json, a `file`")
)

func catalog(t *testing.T) *suite.Catalog {
	t.Helper()
	c, err := suite.NewCatalog(append(slices.Concat(all.Profiles(), plugins.Profiles()), cases.Profile())...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// code is what the functions of a package say.
type code struct {
	functions map[string]*ast.FuncDecl
	files     map[string]string
}

// TestRows compares rows.json with the code of cases and mutants.
func TestRows(t *testing.T) {
	rows := map[string]*Row{}
	for _, k := range catalog(t).Cases() {
		rows[k.ID] = &Row{}
	}
	for _, pattern := range []string{"../thick/*", "../plugin/*", "../runtime/*"} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			readCases(t, dir, rows)
		}
	}
	addMutants(t, rows)
	without := 0
	for id, row := range rows {
		if row.File == "" {
			t.Logf("the code of %s was not found", id)
			without++
		}
	}
	if without*20 > len(rows) {
		t.Errorf("of %d of %d rows the code was not found", without, len(rows))
	}
	compare(t, "rows.json", rows)
}

// compare holds a file to what it is to have, or writes it.
func compare(t *testing.T, name string, want any) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if committed, err := os.ReadFile(name); err != nil || !bytes.Equal(committed, b.Bytes()) {
		t.Errorf("%s is stale (%v); make generate writes it", name, err)
	}
}

// readCases reads the rows that a package's literals name.
func readCases(t *testing.T, dir string, rows map[string]*Row) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	c := code{map[string]*ast.FuncDecl{}, map[string]string{}}
	var parsed []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		for _, d := range f.Decls {
			if function, ok := d.(*ast.FuncDecl); ok && function.Recv == nil {
				c.functions[function.Name.Name] = function
				c.files[function.Name.Name] = "conformance" + strings.TrimPrefix(filepath.ToSlash(path), "..")
			}
		}
	}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			if literal, ok := n.(*ast.CompositeLit); ok {
				c.take(literal, rows)
			}
			return true
		})
	}
}

// take reads a case's literal: its id and its body.
func (c *code) take(literal *ast.CompositeLit, rows map[string]*Row) {
	id := ""
	var body ast.Expr
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch key, _ := pair.Key.(*ast.Ident); {
		case key == nil:
		case key.Name == "ID":
			id = text(pair.Value)
		case key.Name == "Body":
			body = pair.Value
		}
	}
	row := rows[id]
	if row == nil || body == nil {
		return
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok && row.File == "" && c.functions[name.Name] != nil {
			row.File = c.files[name.Name]
			row.About = about(c.functions[name.Name])
			c.tell(c.functions[name.Name], row, map[string]bool{name.Name: true}, 2)
		}
		return true
	})
}

// ofRow is how a comment says of which row a function is the case.
var ofRow = regexp.MustCompile(`^The case is [A-Z]+-[0-9]+\.?\s*`)

// about is a function's comment, which begins with its name.
func about(f *ast.FuncDecl) string {
	text := strings.Join(strings.Fields(f.Doc.Text()), " ")
	if rest, named := strings.CutPrefix(text, f.Name.Name+" "); named {
		text = "The case " + rest
	}
	return ofRow.ReplaceAllString(text, "")
}

// verb is a verb of fmt.
var verb = regexp.MustCompile(`%[-+#0]*[0-9]*(\.[0-9]+)?[a-zA-Z]`)

// tell reads the steps and the words of assertions of a function, and of those of
// its package that it calls.
func (c *code) tell(f *ast.FuncDecl, row *Row, seen map[string]bool, depth int) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch function := call.Fun.(type) {
		case *ast.Ident:
			if next := c.functions[function.Name]; next != nil && depth > 0 && !seen[function.Name] {
				seen[function.Name] = true
				c.tell(next, row, seen, depth-1)
			}
		case *ast.SelectorExpr:
			switch {
			case function.Sel.Name == "By" && len(call.Args) > 0:
				row.Steps = once(row.Steps, words(call.Args[0]))
			case slices.Contains([]string{"To", "NotTo", "ToNot", "Should", "ShouldNot"}, function.Sel.Name) && len(call.Args) > 1:
				row.Says = once(row.Says, words(call.Args[1]))
			}
		}
		return true
	})
}

func once(texts []string, text string) []string {
	if text == "" || slices.Contains(texts, text) {
		return texts
	}
	return append(texts, text)
}

// words are the text of an expression, with … for what is not known before.
func words(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strings.ReplaceAll(verb.ReplaceAllString(strings.ReplaceAll(text(e), "%%", "\x00"), "…"), "\x00", "%")
	case *ast.BinaryExpr:
		left, right := words(e.X), words(e.Y)
		if left+right == "" {
			return ""
		}
		return strings.ReplaceAll(orDots(left)+orDots(right), "……", "…")
	case *ast.CallExpr:
		if selector, ok := e.Fun.(*ast.SelectorExpr); ok && selector.Sel.Name == "Sprintf" {
			return words(e.Args[0])
		}
	}
	return ""
}

func orDots(text string) string {
	if text == "" {
		return "…"
	}
	return text
}

// text is a literal's.
func text(e ast.Expr) string {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	value, _ := strconv.Unquote(literal.Value)
	return value
}

// addMutants adds the mutants of every family to the rows that they break.
func addMutants(t *testing.T, rows map[string]*Row) {
	t.Helper()
	claim := func(ids []string, m Mutant) {
		for _, id := range ids {
			if rows[id] != nil {
				rows[id].Mutants = append(rows[id].Mutants, m)
			}
		}
	}
	for _, m := range thicketMutants() {
		claim(m.rows, m.Mutant)
	}
	for _, m := range secondFaults(t) {
		claim(m.rows, m.Mutant)
	}
	for _, m := range thin.Faults() {
		claim(m.Rows, Mutant{string(m.Name), m.Wrong})
	}
	for _, m := range thinruntime.Faults() {
		claim(m.Rows, Mutant{string(m.Name), m.Wrong})
	}
}

type claimed struct {
	Mutant
	rows []string
}

// thicketMutants are those of Thicket, in the order of its profiles.
func thicketMutants() (found []claimed) {
	for _, m := range slices.Concat(
		socket.Mutants(), ready.Mutants(), endpoint.Mutants(), shim.Mutants(), add.Mutants(), del.Mutants(),
		check.Mutants(), lifecycle.Mutants(), hotplug.Mutants(), multinet.Mutants(), resilience.Mutants(), security.Mutants(),
	) {
		if m.Equivalent == "" {
			found = append(found, claimed{Mutant{m.Name, m.Fault}, m.Cases})
		}
	}
	return found
}

// secondFaults reads the table of the second implementation, which is a program.
func secondFaults(t *testing.T) (found []claimed) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../fakes/second/faults.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok || len(literal.Elts) != 4 || text(literal.Elts[0]) == "" {
			return true
		}
		m := claimed{Mutant: Mutant{"second-" + text(literal.Elts[0]), text(literal.Elts[2])}}
		if list, ok := literal.Elts[3].(*ast.CompositeLit); ok {
			for _, id := range list.Elts {
				m.rows = append(m.rows, text(id))
			}
		}
		found = append(found, m)
		return true
	})
	if len(found) < 50 {
		t.Errorf("fakes/second has %d faults by its source", len(found))
	}
	return found
}

// places are directories and names of a run, which differ each time.
var places = regexp.MustCompile(`/tmp/tc-[^/\s]+/[^/\s"]+(/e-[0-9]+)?`)

// TestKills takes kills from a record, with -kills; the rows that are gone go.
func TestKills(t *testing.T) {
	recorded := map[string]Kill{}
	if err := read("kills.json", &recorded); err != nil {
		t.Fatal(err)
	}
	c := catalog(t)
	for id, kill := range recorded {
		if _, known := c.Find(id); !known {
			t.Errorf("kills.json has the row %s, which there is not", id)
		}
		if kill.Mutant == "" || kill.Headline == "" {
			t.Errorf("kills.json has of %s %+v", id, kill)
		}
	}
	if *kills == "" {
		return
	}
	data, err := os.ReadFile(*kills)
	if err != nil {
		t.Fatal(err)
	}
	var verdict struct {
		Trials []struct {
			Mutant, ID, Outcome, Reason string
			Claimed                     bool
		}
	}
	if err := json.Unmarshal(data, &verdict); err != nil {
		t.Fatal(err)
	}
	for _, trial := range verdict.Trials {
		headline, _, _ := strings.Cut(trial.Reason, "\n")
		headline = places.ReplaceAllString(headline, "DIR")
		_, known := c.Find(trial.ID)
		if known && trial.Outcome == "killed" && trial.Claimed && headline != "" && !strings.HasPrefix(headline, "at ") {
			recorded[trial.ID] = Kill{trial.Mutant, headline}
		}
	}
	maps.DeleteFunc(recorded, func(id string, _ Kill) bool { _, known := c.Find(id); return !known })
	compare(t, "kills.json", recorded)
}

// TestPages explains every row, and looks at some.
func TestPages(t *testing.T) {
	c := catalog(t)
	for _, k := range c.Cases() {
		page := Text(c, k.ID)
		for _, want := range []string{k.Title, k.Source, "How it is asked", "--only " + k.ID} {
			if !strings.Contains(page, want) {
				t.Errorf("the page of %s does not have %q:\n%s", k.ID, want, page)
			}
		}
	}
	for id, wants := range map[string][]string{
		"SOCK-04":  {"a MUST of profile socket", "socket-chmod-after-listen: ", "code: conformance/thick/socket/"},
		"NET-19":   {"NPWG §7.5: https://github.com/k8snetworkplumbingwg/multi-net-spec", "runtime-config-at-add-only: ", "second-runtime-config-for-all: "},
		"PLUG-12":  {"once for each version of CNI", "keeps-lease: "},
		"CHECK-05": {"https://github.com/containernetworking/cni/blob/spec-v1.1.0/SPEC.md#configuration-format", "With disableCheck set"},
	} {
		page := Text(c, id)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("the page of %s does not have %q:\n%s", id, want, page)
			}
		}
	}
	if got := reports("CNI §2, #1449, cni#901, OPS"); !slices.Equal(got, []string{
		"https://github.com/k8snetworkplumbingwg/multus-cni/issues/1449", "https://github.com/containernetworking/cni/issues/901",
	}) {
		t.Error(got)
	}
	if _, err := For(c, "SOCK-99"); err == nil || !strings.Contains(err.Error(), "nearest is SOCK-") {
		t.Error(err)
	}
	if _, err := For(c, "SOCK-*"); err == nil || !strings.Contains(err.Error(), "name one") {
		t.Error(err)
	}
}
