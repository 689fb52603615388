// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// envEmbedding makes the tests named TestEmbedding… what somebody else's go test
// would be. The tests below execute them, and judge what go test says.
const envEmbedding = "THICKET_TEST_EMBEDDING"

// word is a flag of the embedding program's own.
var word = flag.String("embedding.word", "", "a flag that is not go test's")

func embedding(t *testing.T) {
	t.Helper()
	if os.Getenv(envEmbedding) == "" {
		t.Skip("it is executed by another test")
	}
}

// judging is a run whose cases pass for a subject that is named "good".
func judging(t *testing.T, name string) Options {
	t.Helper()
	good := func(_ context.Context, t *T) { Expect(t.Subject.Name()).To(Equal("good")) }
	return Options{Settings: Settings{Subject: idle{name: name}}, Catalog: catalogOf(t, tiny("TINY-01", good), tiny("TINY-02", mark))}
}

// mark notes that the case was run.
func mark(_ context.Context, t *T) {
	Expect(os.WriteFile(filepath.Join(os.Getenv(envEmbedding), t.Case.ID), nil, 0o600)).To(Succeed())
}

func TestEmbeddingTwice(t *testing.T) {
	embedding(t)
	Run(t, judging(t, "good"), "")
	Run(t, judging(t, "broken"), "")
}

// oddNames are names of subtests, and whether the subject is good.
var oddNames = map[string]string{
	"a": "good", "ab": "broken", "a/b": "good", "a/bc": "broken", "with space": "broken", "with_space": "good", "x(y|z)[0-9]+$": "good", "x(y": "broken",
}

func TestEmbeddingNames(t *testing.T) {
	embedding(t)
	for _, name := range slices.Sorted(maps.Keys(oddNames)) { // in each child's order, too
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Run(t, judging(t, oddNames[name]), "")
		})
	}
}

func TestEmbeddingSelection(t *testing.T) {
	embedding(t)
	hang := tiny("TINY-03", func(ctx context.Context, t *T) { mark(ctx, t); <-ctx.Done() })
	hang.Timeout = time.Minute
	slow := tiny("TINY-04", func(context.Context, *T) { time.Sleep(1200 * time.Millisecond) }) // its time is what is shown
	Run(t, Options{Settings: Settings{Subject: idle{name: "good"}}, Catalog: catalogOf(t, tiny("TINY-02", mark), hang, slow)}, "")
}

func TestEmbeddingFlags(t *testing.T) {
	embedding(t)
	told := tiny("TINY-01", func(context.Context, *T) { Expect(*word).To(Equal("hello")) })
	Run(t, Options{Settings: Settings{Subject: idle{name: "good"}}, Catalog: catalogOf(t, told)}, "")
}

// gotest executes this program's tests as go test does, and returns what it
// printed and the cases that were marked.
func gotest(t *testing.T, args ...string) (output string, marked []string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", append([]string{"-test.v=true", "-test.paniconexit0"}, args...)...)
	cmd.Env = append(os.Environ(), envEmbedding+"="+dir)
	out, _ := cmd.CombinedOutput() // failed tests are in the output
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		marked = append(marked, e.Name())
	}
	return string(out), marked
}

// outcome returns how a test ended by go test's output, and after how long.
func outcome(t *testing.T, output, test string) (state string, took time.Duration) {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): `+regexp.QuoteMeta(test)+` \(([0-9.]+)s\)$`).FindAllStringSubmatch(output, -1)
	if len(found) != 1 {
		t.Errorf("%s is in the output %d times:\n%s", test, len(found), output)
		return "", 0
	}
	seconds, err := strconv.ParseFloat(found[0][2], 64)
	if err != nil {
		t.Fatal(err)
	}
	return found[0][1], time.Duration(seconds * float64(time.Second))
}

func TestTwoRunsInOneTest(t *testing.T) {
	out, _ := gotest(t, "-test.run=^TestEmbeddingTwice$")
	for test, want := range map[string]string{
		"TestEmbeddingTwice/TINY-01": "PASS", "TestEmbeddingTwice/TINY-01#01": "FAIL", "TestEmbeddingTwice/TINY-02#01": "PASS", "TestEmbeddingTwice": "FAIL",
	} {
		if state, _ := outcome(t, out, test); state != want {
			t.Errorf("%s: %s, want %s\n%s", test, state, want, out)
		}
	}
}

func TestRunInParallelSubtestsOfAnyName(t *testing.T) {
	out, _ := gotest(t, "-test.run=^TestEmbeddingNames$", "-test.parallel=3")
	states := map[string]string{"good": "PASS", "broken": "FAIL"}
	for name, subject := range oddNames {
		// go test writes spaces as underscores, and tells a second such name apart.
		test := "TestEmbeddingNames/" + name
		if name == "with space" || name == "with_space" {
			continue
		}
		if state, _ := outcome(t, out, test+"/TINY-01"); state != states[subject] {
			t.Errorf("%s is %s, want %s", test, state, states[subject])
		}
	}
	one, _ := outcome(t, out, "TestEmbeddingNames/with_space/TINY-01")
	other, _ := outcome(t, out, "TestEmbeddingNames/with_space#01/TINY-01")
	if one == other {
		t.Errorf("of a good and a broken subject, both are %s", one)
	}
}

func TestOneCaseIsSelected(t *testing.T) {
	began := time.Now()
	out, marked := gotest(t, "-test.run", "TestEmbeddingSelection/TINY-02")
	if state, _ := outcome(t, out, "TestEmbeddingSelection/TINY-02"); state != "PASS" || strings.Contains(out, "TINY-03") {
		t.Errorf("%s:\n%s", state, out)
	}
	if !slices.Equal(marked, []string{"TINY-02"}) {
		t.Errorf("%v were run", marked)
	}
	if took := time.Since(began); took > 40*time.Second { // TINY-03 takes a minute
		t.Errorf("it took %s", took)
	}
}

func TestTimesOfCases(t *testing.T) {
	out, _ := gotest(t, "-test.run", "TestEmbeddingSelection/TINY-04")
	if _, took := outcome(t, out, "TestEmbeddingSelection/TINY-04"); took < 1200*time.Millisecond {
		t.Errorf("it shows %s for a case of 1.2 s", took)
	}
}

func TestRunAgain(t *testing.T) {
	out, _ := gotest(t, "-test.run=^TestEmbeddingSelection$/^TINY-02$", "-test.count", "2")
	if n := strings.Count(out, "--- PASS: TestEmbeddingSelection/TINY-02"); n != 2 {
		t.Errorf("it passed %d times in two runs:\n%s", n, out)
	}
}

func TestFlagsOfTheCaller(t *testing.T) {
	out, _ := gotest(t, "-test.run", "^TestEmbeddingFlags$", "--test.count", "1", "-embedding.word", "hello")
	if state, _ := outcome(t, out, "TestEmbeddingFlags/TINY-01"); state != "PASS" {
		t.Errorf("%s:\n%s", state, out)
	}
}

func TestChildArgs(t *testing.T) {
	for _, c := range []struct {
		test       string
		args, want []string
	}{
		{"TestX", nil, []string{"-test.run=^TestX$", "-test.timeout=0"}},
		{"TestX/a.b/c(d)", nil, []string{`-test.run=^TestX$/^a\.b$/^c\(d\)$`, "-test.timeout=0"}},
		{"TestX", []string{"-test.run", "x", "-target", "f", "--test.count=1", "--test.v", "-own=1", "--test.timeout", "5m"},
			[]string{"-test.run=^TestX$", "-test.timeout=0", "-target", "f", "-own=1"}},
		{"TestX", []string{"-test.short", "file", "--", "-test.run", "theirs"}, []string{"-test.run=^TestX$", "-test.timeout=0", "file", "--", "-test.run", "theirs"}},
	} {
		if got := childArgs(c.test, c.args); !slices.Equal(got, c.want) {
			t.Errorf("%s %q: %q, want %q", c.test, c.args, got, c.want)
		}
	}
}

// TestAlone has two runs side by side. Nothing is beside the cases that have to
// be alone, of the other run neither.
func TestAlone(t *testing.T) {
	var running, most atomic.Int32
	judge := func(alone bool) {
		now := running.Add(1)
		defer running.Add(-1)
		if alone && now > 1 {
			t.Errorf("%d cases run, one of them is to be alone", now)
		}
		most.Store(max(most.Load(), now))
		time.Sleep(5 * time.Millisecond) // long enough for others to begin
	}
	runs := make(chan struct{}, 2)
	for range 2 {
		s := &session{Options: Options{Parallel: 4, Seed: 1}}
		for i := range 16 {
			s.cases = append(s.cases, Case{Requirement: spec.Requirement{ID: "TINY-" + strconv.Itoa(i)}, Alone: i%4 == 0})
		}
		go func() {
			s.each(context.Background(), func(i int) { judge(s.cases[i].Alone) })
			runs <- struct{}{}
		}()
	}
	<-runs
	<-runs
	if most.Load() < 2 {
		t.Error("the other cases do not run side by side")
	}
}
