// SPDX-License-Identifier: Apache-2.0

// Command progress reads what go test -json prints and shows it as it comes: a
// line for each package, and for each case of the suite's runs. It keeps the
// output of what fails, and ends with what was skipped and why. It exits with 1
// when a test failed, a package did not build, or no test was executed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action  string
	Package string
	// ImportPath is the package of build output.
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

func main() {
	if !run(os.Stdin, os.Stdout) {
		os.Exit(1)
	}
}

// run shows the events and reports whether all is well.
func run(in io.Reader, out io.Writer) bool {
	s := &state{out: out, output: map[string][]string{}, reasons: map[string][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			fmt.Fprintln(out, lines.Text()) // what stands between the runs
			continue
		}
		s.take(&e)
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(out, "progress:", err)
		s.failed++
	}
	s.end()
	return s.failed == 0 && s.passed > 0
}

type state struct {
	out                     io.Writer
	passed, failed, skipped int
	// output is what a test, or a package that is being built, has printed.
	output map[string][]string
	// reasons are the skipped tests by why they were skipped, order the reasons
	// as they came.
	reasons map[string][]string
	order   []string
	parents []string
}

func (s *state) take(e *event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "run":
		if parent, _, sub := cut(e.Test); sub && !slices.Contains(s.parents, e.Package+" "+parent) {
			s.parents = append(s.parents, e.Package+" "+parent)
		}
	case "output":
		s.output[key] = append(s.output[key], e.Output)
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "build-fail":
		s.failed++
	case "pass", "fail", "skip":
		s.finish(e, s.output[key])
		delete(s.output, key)
	}
}

// finish counts what has ended: a package, or a test without subtests.
func (s *state) finish(e *event, output []string) {
	switch {
	case e.Test == "" && e.Action == "skip": // a package without tests
	case e.Test == "":
		s.finishPackage(e, output)
	case slices.Contains(s.parents, e.Package+" "+e.Test):
		if e.Action == "fail" {
			s.show(e, output)
		}
	default:
		s.finishTest(e, output)
	}
}

func (s *state) finishPackage(e *event, output []string) {
	word := "ok"
	if e.Action == "fail" {
		word = "FAIL"
		s.failed++
		for _, line := range output {
			if line = strings.TrimSpace(line); line != "" && line != "FAIL" {
				fmt.Fprintln(s.out, line)
			}
		}
	}
	fmt.Fprintf(s.out, "%-4s  %-70s %6.1f s\n", word, e.Package, e.Elapsed)
}

func (s *state) finishTest(e *event, output []string) {
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		s.show(e, output)
	case "skip":
		s.skipped++
		why := reason(output)
		if s.reasons[why] == nil {
			s.order = append(s.order, why)
		}
		s.reasons[why] = append(s.reasons[why], e.Test)
	}
	// Whole runs of the suite take minutes: each of their cases is worth a line.
	if parent, name, sub := cut(e.Test); sub && strings.HasSuffix(e.Package, "/inprocess") {
		fmt.Fprintf(s.out, "%4d  %-4s  %-8s %6.1f s  %s\n", s.passed+s.failed+s.skipped, e.Action, name, e.Elapsed, parent)
	}
}

// show prints what a failing test has printed.
func (s *state) show(e *event, output []string) {
	fmt.Fprintf(s.out, "FAIL  %s %s\n", e.Package, e.Test)
	for _, line := range output {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprint(s.out, "      ", line)
		}
	}
}

// end prints what was skipped, grouped by the reason, and the counts.
func (s *state) end() {
	if s.skipped > 0 {
		fmt.Fprintf(s.out, "\nskipped, which is not passed:\n")
	}
	for _, why := range s.order {
		tests := s.reasons[why]
		names := strings.Join(tests[:min(len(tests), 6)], ", ")
		if len(tests) > 6 {
			names += ", …"
		}
		fmt.Fprintf(s.out, "  %d: %s\n     (%s)\n", len(tests), why, names)
	}
	if s.passed+s.failed == 0 {
		fmt.Fprintln(s.out, "no test was executed")
	}
	fmt.Fprintf(s.out, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
}

// cut splits the name of a subtest.
func cut(test string) (parent, name string, sub bool) {
	i := strings.LastIndex(test, "/")
	if i < 0 {
		return test, "", false
	}
	return test[:i], test[i+1:], true
}

// reason is why a test was skipped: what it said, without the place in its
// source.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if place, rest, found := strings.Cut(line, ": "); found && strings.Contains(place, ".go:") {
			line = rest
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return "no reason was given"
	}
	return strings.Join(said, " ")
}
