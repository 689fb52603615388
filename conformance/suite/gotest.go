// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/thicket-cni/thicket/conformance/report"
)

// envRun names the Run that a child belongs to: a test may call it more than
// once, and a child enters the test from its beginning.
const envRun = "THICKET_CONFORMANCE_RUN"

// runs counts the calls of Run by each test of this process.
var runs = struct {
	sync.Mutex
	of map[string]int
}{of: map[string]int{}}

// runName names a call of Run: the test and which call of it this is. The count
// begins anew when the test does, as with -test.count.
func runName(t *testing.T) string {
	t.Cleanup(func() {
		runs.Lock()
		defer runs.Unlock()
		delete(runs.of, t.Name())
	})
	runs.Lock()
	defer runs.Unlock()
	runs.of[t.Name()]++
	return fmt.Sprintf("%s call %d", t.Name(), runs.of[t.Name()])
}

// slowness is the factor in $SLOW, 0 where nothing is said.
func slowness(t *testing.T) float64 {
	t.Helper()
	text := os.Getenv("SLOW")
	if text == "" {
		return 0
	}
	factor, err := ParseSlow(text)
	if err != nil {
		t.Fatalf("SLOW is %v", err)
	}
	return factor
}

// Run judges a subject within somebody's own go test: each case is a subtest of
// t, and go test's -run selects among them. A failed MUST fails its subtest, a
// failed SHOULD is logged, a skipped case is skipped with its reason. Run needs
// root, for namespaces and sockets. o.Command is Run's own; where o.Slow is zero,
// $SLOW is what deadlines are multiplied by.
//
// Run executes the test program again for each case, with t alone selected and
// the flags that are not go test's own. What precedes Run in the test happens
// again for each; another Run of the same test does nothing there.
func Run(t *testing.T, o Options, reportDir string) {
	t.Helper()
	name := runName(t)
	if IsChild() {
		if os.Getenv(envRun) == name {
			RunChild(Child{Settings: o.Settings, Catalog: o.Catalog, Survey: o.Survey})
		}
		t.Logf("this process was started for %q, so %q does nothing in it", os.Getenv(envRun), name)
		return
	}
	o.Rerun = func(id string) string {
		return fmt.Sprintf("KEEP=%s go test -count=1 -v -run '%s' .", filepath.Join(os.TempDir(), "keep-"+id), pattern(t.Name()+"/"+id))
	}
	args := childArgs(t.Name(), os.Args[1:])
	o.Command = func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
		cmd.Env = append(os.Environ(), envRun+"="+name)
		return cmd
	}
	if o.Slow == 0 {
		o.Slow = slowness(t)
	}
	s, err := begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.each(t.Context(), func(i int) {
		t.Run(s.cases[i].ID, func(t *testing.T) {
			if err := s.ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := s.verdict(t.Context(), i)
			s.keep(i, r)
			tell(t, r)
		})
	})
	r, err := s.end(t.Context())
	if err != nil {
		t.Error(err)
	}
	r.Cases = slices.DeleteFunc(r.Cases, func(c report.CaseResult) bool { return c.Failure == report.Interrupted })
	r.Summarize()
	t.Logf("%s, version %q, judged by suite %s, seed %d%s: %s", r.Target.Name, r.Target.Version, r.Suite.Version, r.Seed, r.Slowness(), counted(r))
	if reportDir != "" {
		if err := r.Write(reportDir); err != nil {
			t.Error(err)
		}
	}
}

// tell gives a subtest the outcome of its case.
func tell(t *testing.T, r report.CaseResult) {
	t.Helper()
	switch {
	case r.Gates():
		t.Errorf("%s\n%s\n%s\n%s", r.Title, r.Excuse(), r.Reason, r.Story())
	case r.Excuse() != "":
		t.Skipf("%s: %s\n%s", r.Excuse(), r.Title, r.Reason)
	case r.State == report.Skipped:
		t.Skip(r.Reason)
	case r.State == report.NotApplicable:
		t.Skip("not applicable: " + r.Reason)
	case r.State == report.Failed:
		t.Logf("a SHOULD that is not kept: %s\n%s\n%s", r.Title, r.Reason, r.Brief())
	}
}

// counted says in one line how the cases ended, and how many were skipped, or do
// not apply, for which reason.
func counted(r *report.Report) string {
	reasons := map[string]int{}
	var order []string
	n := r.Total()
	for _, c := range r.Cases {
		if c.State != report.Skipped && c.State != report.NotApplicable {
			continue
		}
		reason := fmt.Sprintf("%s: %s", c.State, c.Reason)
		if reasons[reason]++; reasons[reason] == 1 {
			order = append(order, reason)
		}
	}
	text := n.String()
	for _, reason := range order {
		text += fmt.Sprintf("\n  %d %s", reasons[reason], reason)
	}
	return text
}

// childArgs are a test program's arguments that select one test exactly, with
// those of the caller's that are not go test's own.
func childArgs(test string, args []string) []string {
	return append([]string{"-test.run=" + pattern(test), "-test.timeout=0"}, ownArgs(args)...)
}

// pattern is what go test's -run takes for one test exactly.
func pattern(test string) string {
	var elements []string
	for element := range strings.SplitSeq(test, "/") {
		elements = append(elements, "^"+regexp.QuoteMeta(element)+"$")
	}
	return strings.Join(elements, "/")
}

// ownArgs leaves out go test's own flags, with the values of those that stand
// apart from them.
func ownArgs(args []string) []string {
	var own []string
	for i := 0; i < len(args); i++ {
		name, isTest := strings.CutPrefix(strings.TrimPrefix(args[i], "-"), "-test.")
		if !isTest {
			name, isTest = strings.CutPrefix(args[i], "-test.")
		}
		if !isTest || slices.Contains(args[:i], "--") {
			own = append(own, args[i])
			continue
		}
		if !strings.Contains(name, "=") && takesValue("test."+name) {
			i++
		}
	}
	return own
}

// takesValue reports whether a flag without '=' is followed by its value.
func takesValue(name string) bool {
	f := flag.Lookup(name)
	if f == nil {
		return false
	}
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !b.IsBoolFlag()
}
