// SPDX-License-Identifier: Apache-2.0

package background

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// roots are the directories of the daemon's code, from this package's.
var roots = []string{"..", "../../cmd/thicketd"}

// exempt are packages that the daemon does not run: the client of the API, and
// this one.
var exempt = []string{"../api", "../background"}

// TestGoStatements keeps unrecovered goroutines out of the daemon: nothing but
// this package starts one, by a go statement or by a method called Go. What
// AfterFunc calls runs on a goroutine too: it has to be a single statement that
// cancels, closes or kills, or to go through Try.
func TestGoStatements(t *testing.T) {
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			for _, dir := range exempt {
				if path == dir {
					return filepath.SkipDir
				}
			}
			if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, found := range unrecovered(t, path, src) {
				t.Error(found)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnrecoveredFindsEachForm(t *testing.T) {
	for body, want := range map[string]int{
		"go f()":                                                     1,
		"var g sync.WaitGroup; g.Go(f)":                              1,
		"time.AfterFunc(1, f)":                                       1,
		"context.AfterFunc(c, func() { f() })":                       0,
		"context.AfterFunc(c, func() { a; b })":                      1,
		"time.AfterFunc(1, func() { background.Try(l, w, f); b() })": 0,
		"background.Start(l, w, f); group.Keep(c, w, f)":             0,
	} {
		src := "package p\nfunc x() {\n" + body + "\n}\n"
		if found := unrecovered(t, "p.go", []byte(src)); len(found) != want {
			t.Errorf("%s: found %q", body, found)
		}
	}
}

// unrecovered lists what starts goroutines in a file.
func unrecovered(t *testing.T, path string, src []byte) []string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	report := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s starts a goroutine whose panic ends the daemon; use package background", files.Position(n.Pos()), what))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "a go statement")
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			switch {
			case !ok:
			case called.Sel.Name == "Go":
				report(n, "Go")
			case called.Sel.Name == "AfterFunc" && !harmless(n.Args):
				report(n, "AfterFunc")
			}
		}
		return true
	})
	return found
}

// harmless says whether what AfterFunc is given cannot panic, as far as a
// glance tells.
func harmless(args []ast.Expr) bool {
	if len(args) != 2 {
		return false
	}
	f, ok := args[1].(*ast.FuncLit)
	if !ok {
		return false
	}
	if len(f.Body.List) == 1 {
		return true
	}
	recovers := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if called, ok := n.(*ast.SelectorExpr); ok && called.Sel.Name == "Try" {
			recovers = true
		}
		return true
	})
	return recovers
}
