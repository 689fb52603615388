// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/report"
)

// messageOf is what an assertion says when it fails.
func messageOf(assertion func(g Gomega)) (message string) {
	assertion(NewGomega(func(m string, _ ...int) { message = m }))
	return message
}

func TestHeadlines(t *testing.T) {
	wrapped := fmt.Errorf("the record: %w", errors.New("no such file"))
	for name, c := range map[string]struct {
		assertion func(g Gomega)
		want      string
		unworded  bool
	}{
		"described": {func(g Gomega) { g.Expect([]string{"a"}).To(Equal([]string{"b"}), "delegates of %s", "DEL") }, `delegates of DEL: expected ["a"] to equal ["b"]`, false},
		"duration": {func(g Gomega) {
			g.Expect(3500*time.Millisecond).To(BeNumerically("<", 3*time.Second), "the time of ADD")
		}, "the time of ADD: expected 3.5s to be < 3s", false},
		"nested": {func(g Gomega) { g.Expect([]any{map[string]any{"a": "b"}}).To(BeEmpty(), "attachments") }, `attachments: expected [ {"a": "b"}, ] to be empty`, false},
		"lines":  {func(g Gomega) { g.Expect(1).To(BeZero(), "the shim printed {\n  \"code\": 11\n}") }, `the shim printed { "code": 11 }: expected 1 to be zero-valued`, false},
		"bool":   {func(g Gomega) { g.Expect(false).To(BeTrue(), "the answer came") }, "the answer came", false},
		"late": {func(g Gomega) {
			g.Eventually(func() int { return 1 }).WithTimeout(20*time.Millisecond).Should(Equal(2), "calls of delegates")
		}, "calls of delegates: expected 1 to equal 2 (after 0.02", false},
		"late error": {func(g Gomega) {
			g.Eventually(func() error { return wrapped }).WithTimeout(20*time.Millisecond).Should(Succeed(), "the daemon serves")
		}, "the daemon serves: the record: no such file (after", false},
		"error":           {func(g Gomega) { g.Expect(wrapped).NotTo(HaveOccurred(), "ADD") }, "ADD: the record: no such file", false},
		"error's words":   {func(g Gomega) { g.Expect(wrapped).To(Succeed()) }, "the record: no such file", false},
		"wordless error":  {func(g Gomega) { g.Expect(errors.New("EOF")).To(Succeed()) }, `"It holds" is not kept: EOF`, true},
		"undescribed":     {func(g Gomega) { g.Expect(1).To(Equal(2)) }, `"It holds" is not kept: expected 1 to equal 2`, true},
		"several returns": {func(g Gomega) { g.Expect(os.ReadFile("/nowhere")).To(BeEmpty()) }, "open /nowhere", false},
	} {
		f := takeApart(messageOf(c.assertion), "It holds")
		if !strings.Contains(f.headline, c.want) || f.worded == c.unworded {
			t.Errorf("%s: %q, worded %v; of\n%s", name, f.headline, f.worded, messageOf(c.assertion))
		}
	}
}

// TestFailuresSayWhat has the outcomes that no assertion words.
func TestFailuresSayWhat(t *testing.T) {
	tell := func(t *T, s Story) { ginkgo.DeferCleanup(func() { t.Tell(s) }) }
	took := time.Millisecond
	o := childOptions(t,
		tiny("TINY-01", func(_ context.Context, t *T) {
			tell(t, Story{Ended: "the daemon ended by itself (signal: killed)", Output: "its last words"})
			ginkgo.By("asking for an address")
			Expect(errors.New("EOF")).NotTo(HaveOccurred(), "ADD on /cni")
		}),
		tiny("TINY-02", func(ctx context.Context, t *T) {
			tell(t, Story{At: 4 * time.Second, Steps: []report.StepResult{{Text: "the daemon starts", Outcome: "serves", Took: &took}, {After: time.Second, Text: "DEL on /cni"}}})
			<-ctx.Done()
		}),
		tiny("TINY-03", func(ctx context.Context, _ *T) {
			ginkgo.By("the second round")
			<-ctx.Done()
		}),
		tiny("TINY-04", func(ctx context.Context, _ *T) {
			Eventually(func() int { return 0 }).WithContext(ctx).WithTimeout(time.Minute).Should(Equal(1), "leases of the sandbox")
		}),
	)
	o.Keep, o.Rerun = filepath.Join(t.TempDir(), "kept"), func(id string) string { return "judge " + id }
	for i := range o.Catalog.cases {
		o.Catalog.cases[i].Timeout = time.Second
	}
	r, err := Judge(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"the daemon ended by itself (signal: killed): ADD on /cni\n", "DEL on /cni: no answer after 3s (the case may take",
		`it did not get beyond the step "the second round" (the case may take`, "leases of the sandbox: expected 0 to equal 1",
	} {
		c := r.Cases[i]
		if !strings.HasPrefix(c.Reason, want) || c.Unworded || !strings.Contains(c.Brief(), "judge "+c.ID) {
			t.Errorf("%s: %s\n%s", c.ID, c.Reason, c.Brief())
		}
		if left, err := os.ReadFile(filepath.Join(o.Keep, c.ID, "output.txt")); err != nil || !strings.Contains(string(left), c.ID) {
			t.Errorf("of %s is kept: %q, %v", c.ID, left, err)
		}
	}
	if c := r.Cases[0]; c.Step != "asking for an address" || !strings.Contains(c.Reason, "\n  while asking for an address\n  at ") || !strings.Contains(c.Brief(), "its last words") {
		t.Errorf("%+v", c)
	}
}

// TestCrowdIsEnded has a case whose processes start others without end.
func TestCrowdIsEnded(t *testing.T) {
	bomb := tiny("TINY-01", func(ctx context.Context, _ *T) {
		_ = exec.CommandContext(ctx, "sh", "-c", "f() { sleep 0.01; f & sleep 60; }; f").Run()
		<-ctx.Done()
	})
	bomb.Processes, bomb.Timeout = 50, time.Minute
	o := childOptions(t, bomb)
	r, err := Judge(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Cases[0]
	if !strings.HasPrefix(c.Reason, "more than 50 processes at once (") || !strings.Contains(c.Headline(), " × sh") || c.Failure != report.FailedAssertion {
		t.Errorf("%+v", c)
	}
	if c.Seconds > 30 {
		t.Errorf("it took %.0f s", c.Seconds)
	}
}
