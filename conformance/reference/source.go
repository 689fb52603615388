// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source reads packages of the repository. Its first error stays.
type source struct {
	root     string
	packages map[string]*parsed
	err      error
}

// parsed is a package's structs, and its constants in their order.
type parsed struct {
	structs map[string]*ast.StructType
	consts  []*ast.ValueSpec
}

func (s *source) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

func (s *source) load(dir string) *parsed {
	if p := s.packages[dir]; p != nil {
		return p
	}
	p := &parsed{structs: map[string]*ast.StructType{}}
	s.packages[dir] = p
	files, err := filepath.Glob(filepath.Join(s.root, dir, "*.go"))
	if err != nil || len(files) == 0 {
		s.fail("no Go files in %s: %w", dir, os.ErrNotExist)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			s.fail("%w", err)
			continue
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				p.take(g)
			}
		}
	}
	return p
}

func (p *parsed) take(g *ast.GenDecl) {
	for _, one := range g.Specs {
		switch one := one.(type) {
		case *ast.TypeSpec:
			if st, ok := one.Type.(*ast.StructType); ok {
				p.structs[one.Name.Name] = st
			}
		case *ast.ValueSpec:
			if g.Tok == token.CONST {
				p.consts = append(p.consts, one)
			}
		}
	}
}

// structOf finds the struct that a type is, or is a list of: one of the package
// in dir, or, as pkg.Type, of the package beside it. It returns that one's
// directory, too.
func (s *source) structOf(dir string, t ast.Expr) (*ast.StructType, string) {
	switch t := t.(type) {
	case *ast.StructType:
		return t, dir
	case *ast.ArrayType:
		return s.structOf(dir, t.Elt)
	case *ast.Ident:
		return s.load(dir).structs[t.Name], dir
	case *ast.SelectorExpr:
		if pkg, ok := t.X.(*ast.Ident); ok && pkg.Name == "target" {
			return s.load("conformance/target").structs[t.Sel.Name], "conformance/target"
		}
	}
	return nil, dir
}

// keys are the keys of a YAML file, those of inner structs under the outer's.
func (s *source) keys(dir, name, prefix string) (rows []row) {
	st := s.load(dir).structs[name]
	if st == nil {
		s.fail("%s has no struct %s", dir, name)
		return nil
	}
	return s.keysOf(st, dir, prefix)
}

func (s *source) keysOf(st *ast.StructType, dir, prefix string) (rows []row) {
	for _, f := range st.Fields.List {
		key := tag(f, "yaml")
		if key == "" {
			continue
		}
		if inner, at := s.structOf(dir, f.Type); inner != nil {
			list := ""
			if _, ok := f.Type.(*ast.ArrayType); ok {
				list = "[]"
			}
			if text := comment(f); text != "" {
				rows = append(rows, row{prefix + key, "", text})
			}
			rows = append(rows, s.keysOf(inner, at, prefix+key+list+".")...)
			continue
		}
		rows = append(rows, row{prefix + key, kindOf(f.Type), comment(f)})
	}
	return rows
}

// fields are a struct's exported fields, named by a format.
func (s *source) fields(dir, name, format string) (rows []row) {
	st := s.load(dir).structs[name]
	if st == nil {
		s.fail("%s has no struct %s", dir, name)
		return nil
	}
	for _, f := range st.Fields.List {
		for _, n := range f.Names {
			rows = append(rows, row{fmt.Sprintf(format, n.Name), "", comment(f)})
		}
	}
	return rows
}

// tagged are a struct's fields by their names in JSON. A comment that speaks of
// several fields is the one of all that follow it without their own.
func (s *source) tagged(dir, name string) (rows []row) {
	st := s.load(dir).structs[name]
	if st == nil {
		s.fail("%s has no struct %s", dir, name)
		return nil
	}
	last := ""
	for _, f := range st.Fields.List {
		if text := comment(f); text != "" {
			last = text
		}
		rows = append(rows, row{tag(f, "json"), kindOf(f.Type), last})
	}
	return rows
}

// subject begins a comment on features.
var subject = regexp.MustCompile(`^Feature\w+(,? (and )?Feature\w+)* (is|are|means that|mean that) `)

// features are the constants of type spec.Feature.
func (s *source) features(dir string) (rows []row) {
	last := ""
	for _, c := range s.load(dir).consts {
		t, ok := c.Type.(*ast.SelectorExpr)
		if !ok || t.Sel.Name != "Feature" || len(c.Values) != 1 {
			continue
		}
		if text := oneLine(c.Doc); text != "" {
			last = upper(subject.ReplaceAllString(text, ""))
		}
		value, _ := strconv.Unquote(c.Values[0].(*ast.BasicLit).Value)
		rows = append(rows, row{value, "", last})
	}
	return rows
}

func tag(f *ast.Field, key string) string {
	if f.Tag == nil {
		return ""
	}
	text, _ := strconv.Unquote(f.Tag.Value)
	name, _, _ := strings.Cut(reflect.StructTag(text).Get(key), ",")
	return name
}

// comment is a field's comment as a sentence of its own, without the field's
// name at its beginning.
func comment(f *ast.Field) string {
	text := oneLine(f.Doc)
	if len(f.Names) == 1 {
		for _, verb := range []string{" is ", " are ", " has ", " holds "} {
			if rest, ok := strings.CutPrefix(text, f.Names[0].Name+verb); ok {
				if verb == " has " || verb == " holds " {
					rest = strings.TrimSpace(verb) + " " + rest
				}
				return upper(rest)
			}
		}
	}
	return text
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

func upper(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// kindOf says what a value looks like in a file.
func kindOf(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.ArrayType:
		return "list of " + kindOf(t.Elt)
	case *ast.MapType:
		return "map of " + kindOf(t.Value)
	case *ast.StarExpr:
		return "object"
	case *ast.Ident:
		switch t.Name {
		case "string":
			return "text"
		case "bool":
			return "true, false"
		case "int", "int64", "uint32":
			return "number"
		case "any":
			return "anything"
		}
	}
	return "text"
}
