// SPDX-License-Identifier: Apache-2.0

package foreign

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// plainly are the files that open paths without this package, and why they may.
// Paths in /proc and /sys, written as such, need no entry: the kernel makes them.
var plainly = map[string]string{
	"api/pendingfs.go":    "imports the standard library only; it opens without waiting, and private files only",
	"api/shimlog.go":      "imports the standard library only; it opens without waiting",
	"admission/memory.go": "cgroups, which the kernel makes",
	"attach/cells.go":     "cgroups, which the kernel makes",
	"attach/exec.go":      "processes",
	"attach/engine.go":    "the boot id",
	"attach/orphans.go":   "processes",
	"attach/restart.go":   "processes",
	"attach/tree.go":      "processes",
	"cluster/status.go":   "makes a new file",
	"daemon/listen.go":    "a directory, opened as one",
	"daemon/logfile.go":   "writes; it opens without waiting, and regular files only",
	"foreign/foreign.go":  "this package",
	"ledger/store.go":     "directories that it has looked at",
	"ledger/list.go":      "a person's command, which can be interrupted",
	"nodeconf/file.go":    "directories, opened as such",
}

// TestForeignFilesAreOpenedHere: what opens a file of any other kind has to come
// through this package (SEC-15).
func TestForeignFilesAreOpenedHere(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name, _ := filepath.Rel("..", file)
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		opens := false
		ast.Inspect(parsed, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && opensPath(call) {
				opens = true
				if plainly[name] == "" {
					t.Errorf("%s opens a path without pkg/foreign", name)
				}
			}
			return true
		})
		if !opens && plainly[name] != "" {
			t.Errorf("%s opens nothing any more: take it off the list", name)
		}
	}
}

// opensPath reports whether a call opens a path that is not the kernel's.
func opensPath(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return false
	}
	in, ok := f.X.(*ast.Ident)
	if !ok || !slices.Contains([]string{"os", "unix", "syscall"}, in.Name) || !slices.Contains([]string{"Open", "OpenFile", "ReadFile", "OpenRoot"}, f.Sel.Name) {
		return false
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	return !ok || !strings.HasPrefix(literal.Value, `"/proc/`)
}
