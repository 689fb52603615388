// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > within {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestFitOfExactPoints(t *testing.T) {
	l := fit([]float64{50, 100, 200, 400}, []float64{25, 45, 85, 165})
	near(t, "base", l.Base, 5, 1e-9)
	near(t, "each", l.Each, 0.4, 1e-9)
	near(t, "fit", l.Fit, 1, 1e-9)
	near(t, "error", l.Error, 0, 1e-6)
	near(t, "at 1,000", l.At(1000), 405, 1e-6)
}

// Anscombe's first quartet, whose regression every textbook has.
func TestFitOfScatteredPoints(t *testing.T) {
	x := []float64{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}
	y := []float64{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}
	l := fit(x, y)
	near(t, "base", l.Base, 3.0001, 1e-4)
	near(t, "each", l.Each, 0.5001, 1e-4)
	near(t, "fit", l.Fit, 0.6665, 1e-4)
	near(t, "error", l.Error, 0.1179, 1e-4)
	near(t, "range at 100", l.Range(100), 11.79, 1e-2)
}

func TestFitOfConstants(t *testing.T) {
	l := fit([]float64{1, 2, 3}, []float64{7, 7, 7})
	near(t, "each", l.Each, 0, 1e-12)
	near(t, "fit", l.Fit, 1, 1e-12)
	near(t, "at 5,000", l.At(5000), 7, 1e-9)
}

func TestLinesNeedTwoTrials(t *testing.T) {
	if got := lines([]Trial{{Nodes: 50}}); got != nil {
		t.Errorf("lines through one point: %v", got)
	}
	all := lines([]Trial{{Nodes: 50, Change: Change{KiB: 60}}, {Nodes: 100, Change: Change{KiB: 110}}})
	if len(all) != len(Growing) {
		t.Fatalf("%d lines, want one for each of %d quantities", len(all), len(Growing))
	}
	last := all[len(all)-1]
	if last.What != "a definition changes: traffic" || last.Unit != "KiB" {
		t.Errorf("the last line is of %q in %q", last.What, last.Unit)
	}
	near(t, "each", last.Each, 1, 1e-9)
	near(t, "base", last.Base, 10, 1e-9)
	near(t, "error of two points", last.Error, 0, 0)
}
