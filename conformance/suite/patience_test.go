// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// slowCases await what comes later than they may wait, in every form that a wait can
// have, and what ends a case.
func slowCases() []Case {
	soon := func() func() bool {
		began := time.Now()
		return func() bool { return time.Since(began) > time.Second }
	}
	const limit = 50 * time.Millisecond
	overdue := tiny("TINY-05", func(ctx context.Context, _ *T) {
		Eventually(soon()).WithContext(ctx).WithTimeout(time.Minute).Should(BeTrue(), "it comes")
	})
	overdue.Timeout = 100 * time.Millisecond
	return []Case{
		tiny("TINY-01", func(context.Context, *T) {
			Eventually(soon()).WithTimeout(limit).WithPolling(time.Millisecond).Should(BeTrue(), "it comes")
		}),
		tiny("TINY-02", func(ctx context.Context, _ *T) {
			Eventually(soon()).WithContext(ctx).Within(limit).ProbeEvery(time.Millisecond).Should(BeTrue(), "it comes")
		}),
		tiny("TINY-03", func(context.Context, *T) {
			Expect(Patience(limit)).To(BeNumerically(">", time.Second), "the limit")
		}),
		tiny("TINY-04", func(context.Context, *T) {
			Consistently(soon()).WithTimeout(limit).Should(BeFalse(), "it stays as it is")
		}),
		overdue,
	}
}

// TestSlow has the same cases judged with deadlines that are multiplied, and that
// are not. What has to stay as it is stays for longer.
func TestSlow(t *testing.T) {
	o := childOptions(t, slowCases()...)
	for _, slow := range []float64{0, 60} {
		o.Slow = slow
		r, err := Judge(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Cases {
			want := slow > 1
			if c.ID == "TINY-04" {
				want = !want
			}
			if (c.State == report.Passed) != want {
				t.Errorf("multiplied by %g: %s: %s %q", slow, c.ID, c.State, c.Reason)
			}
			if c.State == report.Failed && !strings.Contains(c.Reason, "patience_test.go:") {
				t.Errorf("the failure does not name its place: %s", c.Reason)
			}
		}
		if r.Slow != slow || (slow > 1) != strings.Contains(r.Slowness(), "multiplied by 60") {
			t.Errorf("multiplied by %g, the report says %g, %q", slow, r.Slow, r.Slowness())
		}
	}
}

// TestMeasureSlow: a factor comes of it, and at least 1.
func TestMeasureSlow(t *testing.T) {
	o := childOptions(t, Case{Requirement: spec.Requirement{ID: "TINY-01", Level: spec.Must, Title: "t", Source: "test"}, Body: pass})
	factor, err := MeasureSlow(t.Context(), o.Command)
	if err != nil || factor < 1 {
		t.Errorf("%g, %v", factor, err)
	}
}

// TestFewer: a slow machine is asked for fewer things, not below the least, and no
// machine for more than there are.
func TestFewer(t *testing.T) {
	for _, c := range []struct {
		n, least int
		factor   float64
		want     int
	}{{150, 40, 0, 150}, {150, 40, 1, 150}, {150, 40, 2.5, 150}, {600, 40, 4, 150}, {150, 40, 41.4, 40}, {10, 40, 3, 10}} {
		if got := divided(c.n, c.least, c.factor); got != c.want {
			t.Errorf("%d, %d at least, on a machine that is %g times slower: %d, want %d", c.n, c.least, c.factor, got, c.want)
		}
	}
}
