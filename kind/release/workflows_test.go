// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rhysd/actionlint"
)

// TestWorkflows: actionlint has nothing to say of the workflows, nor of how they
// use the action. It also reads their scripts with shellcheck, where there is one.
func TestWorkflows(t *testing.T) {
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{Shellcheck: "shellcheck"})
	if err != nil {
		t.Fatal(err)
	}
	found, err := linter.LintRepository(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		t.Error(e)
	}
	files, err := filepath.Glob("../../.github/workflows/*.y*ml")
	if err != nil || len(files) < 2 {
		t.Errorf("workflows %q, %v: want those of ci and of releases", files, err)
	}
}

// TestWorkflowsCanFail: the linter is one that finds something.
func TestWorkflowsCanFail(t *testing.T) {
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("../../.github/workflows/release.yaml")
	if err != nil {
		t.Fatal(err)
	}
	project, err := actionlint.NewProject(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	wrong := slices.Concat(content, []byte("          targets: in-process\n      - run: echo ${{ github.nobody }}\n"))
	found, err := linter.Lint("release.yaml", wrong, project)
	if err != nil || len(found) != 2 {
		t.Errorf("%v, %v: want two errors, by an input that the action does not have and by a name that nothing has", found, err)
	}
}
