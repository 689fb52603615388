// SPDX-License-Identifier: Apache-2.0

package scale

import "math"

// Line is the straight line through what several numbers of nodes cost, by least
// squares. What lies beyond the largest number measured is an assumption: that it goes
// on in the same way.
type Line struct {
	What string `json:"what"`
	Unit string `json:"unit"`
	// Base is what no nodes would cost by the line, Each what each further node costs.
	Base float64 `json:"base"`
	Each float64 `json:"each"`
	// Error is the standard error of Each, 0 with fewer than three trials.
	Error float64 `json:"error"`
	// Fit is the share of the differences that the line explains (R²), 1 when all
	// points are on it.
	Fit float64 `json:"fit"`
}

// At is what so many nodes cost by the line, and Range how far it may be off by the
// line's own standard error.
func (l *Line) At(nodes float64) float64 { return l.Base + l.Each*nodes }

// Range is how far At may be off, by the standard error of Each.
func (l *Line) Range(nodes float64) float64 { return l.Error * nodes }

// lines are those of a side's trials.
func lines(trials []Trial) []Line {
	if len(trials) < 2 {
		return nil
	}
	var all []Line
	for _, q := range Growing {
		var x, y []float64
		for i := range trials {
			x, y = append(x, float64(trials[i].Nodes)), append(y, q.Of(&trials[i]))
		}
		l := fit(x, y)
		l.What, l.Unit = q.What, q.Unit
		all = append(all, l)
	}
	return all
}

// fit is the line of least squares through the points, of which two at least have
// different x.
func fit(x, y []float64) Line {
	n := float64(len(x))
	meanX, meanY := mean(x), mean(y)
	var xx, xy, yy float64
	for i := range x {
		dx, dy := x[i]-meanX, y[i]-meanY
		xx, xy, yy = xx+dx*dx, xy+dx*dy, yy+dy*dy
	}
	l := Line{Each: xy / xx, Fit: 1}
	l.Base = meanY - l.Each*meanX
	left := max(yy-l.Each*xy, 0) // of the squares, what the line does not explain
	if yy > 0 {
		l.Fit = 1 - left/yy
	}
	if n > 2 {
		l.Error = math.Sqrt(left / (n - 2) / xx)
	}
	return l
}

func mean(values []float64) float64 {
	var total float64
	for _, v := range values {
		total += v
	}
	return total / float64(len(values))
}
