// SPDX-License-Identifier: Apache-2.0

package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/thicket-cni/thicket/conformance/bench/scale"
)

//go:embed bench.html.tmpl
var benchPage string

// plot is a line chart: one polyline per series over common axes.
type plot struct {
	Title, X, Y string
	Lines       []plotLine
	// MaxX and MaxY are the ends of the axes.
	MaxX, MaxY float64
}

type plotLine struct {
	Name   string
	Points []plotPoint
}

type plotPoint struct{ X, Y float64 }

// Plots of the page are so large, in CSS pixels, without their margins.
const (
	plotWidth  = 520.0
	plotHeight = 220.0
)

// WriteHTML writes one self-contained page with the table and plots.
func (r *Report) WriteHTML(w io.Writer) error {
	page, err := template.New("bench").Funcs(template.FuncMap{
		"path": func(p plot, l plotLine) string { return l.path(p) },
		"ms":   func(v float64) string { return fmt.Sprintf("%.1f", v) },
		"tick": func(v float64) string { return fmt.Sprintf("%.3g", v) },
	}).Parse(benchPage)
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{"Report": r, "Plots": r.plots(), "Assumption": scale.Assumption, "Width": plotWidth, "Height": plotHeight})
}

func (r *Report) plots() []plot {
	latency := plot{Title: "ADD of one network", X: "ms", Y: "% of requests"}
	bursts := plot{Title: "150 ADDs of two networks", X: "at a time", Y: "ADDs per second"}
	storm := plot{Title: "Memory in the storm", X: "s", Y: "MiB"}
	long := plot{Title: "The daemon's memory in the long run", X: "ADD/DEL pairs", Y: "MiB"}
	latency.add("delegate alone", quantiles(r.Alone["ADD"]))
	for _, s := range r.Sides {
		latency.add(s.Name, quantiles(s.Latency["ADD 1"]))
		var rates []plotPoint
		for _, b := range s.Bursts {
			rates = append(rates, plotPoint{float64(b.Concurrency), burstSize / b.Seconds})
		}
		bursts.add(s.Name, rates)
		for _, of := range []*Storm{s.Storm, s.LargeStorm} {
			if of != nil {
				storm.add(fmt.Sprintf("%s, %d sandboxes", s.Name, of.Sandboxes), points(of.Memory))
			}
		}
		long.add(s.Name, points(s.Long))
	}
	var all []plot
	for _, p := range append([]plot{latency, bursts, storm, long}, scalePlots(r.Scale)...) {
		if len(p.Lines) > 0 {
			all = append(all, p)
		}
	}
	return all
}

// quantiles draws a distribution up to its 99th percentile: the last one would
// flatten the rest.
func quantiles(l Latency) []plotPoint {
	var all []plotPoint
	for i, v := range l.Curve {
		if i < 100 {
			all = append(all, plotPoint{v, float64(i)})
		}
	}
	return all
}

func points(samples []Sample) []plotPoint {
	var all []plotPoint
	for _, s := range samples {
		all = append(all, plotPoint{s.At, s.MiB})
	}
	return all
}

func (p *plot) add(name string, points []plotPoint) {
	if len(points) == 0 {
		return
	}
	p.Lines = append(p.Lines, plotLine{name, points})
	for _, at := range points {
		p.MaxX, p.MaxY = max(p.MaxX, at.X), max(p.MaxY, at.Y*1.05)
	}
}

// path is the line as SVG wants it.
func (l *plotLine) path(p plot) string {
	var b strings.Builder
	for i, at := range l.Points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, at.X/p.MaxX*plotWidth, plotHeight-at.Y/p.MaxY*plotHeight)
	}
	return b.String()
}
