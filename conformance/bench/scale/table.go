// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// farther are the numbers of nodes that the lines are followed to.
var farther = []float64{1000, 5000}

// WriteText writes the tables: a row for each quantity and side, a column for each
// number of nodes.
func (r *Report) WriteText(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range r.Sides {
		s := &r.Sides[i]
		fmt.Fprintf(t, "%s\n", strings.Join(s.header(), "\t"))
		for _, row := range s.Rows() {
			fmt.Fprintf(t, "%s\n", strings.Join(row, "\t"))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range r.Sides {
		r.Sides[i].writeRequests(out)
	}
	_, err := fmt.Fprintln(out, Assumption)
	return err
}

// Assumption is what the columns beyond the largest number of nodes rest on.
const Assumption = "Columns with ~ are not measured: they assume that the straight line (least squares) through the measured numbers goes on, ± the standard error of its slope.\n" +
	"API server, etcd and all nodes share this machine's processors, so the times are longer than where each node has its own."

func (s *Side) header() []string {
	row := []string{"NODES WITH " + strings.ToUpper(s.Name)}
	for i := range s.Trials {
		row = append(row, fmt.Sprint(s.Trials[i].Nodes))
	}
	if len(s.Lines) > 0 {
		row = append(row, "A NODE", "R²")
		for _, n := range farther {
			row = append(row, fmt.Sprintf("~%.0f", n))
		}
	}
	return row
}

// Columns are the heads of what Rows returns, but for the first.
func (s *Side) Columns() []string { return s.header()[1:] }

// Rows are the table of a side: what is measured first, then a value for each trial,
// and what the line says.
func (s *Side) Rows() [][]string {
	var rows [][]string
	for i, q := range Growing {
		row := s.measured(q)
		if len(s.Lines) > 0 {
			l := &s.Lines[i]
			row = append(row, number(l.Each), fmt.Sprintf("%.3f", l.Fit))
			for _, n := range farther {
				row = append(row, number(l.At(n))+" ± "+number(l.Range(n)))
			}
		}
		rows = append(rows, row)
	}
	for _, q := range Steady {
		rows = append(rows, s.measured(q))
	}
	return rows
}

func (s *Side) measured(q Quantity) []string {
	what := q.What
	if q.Unit != "" {
		what += ", " + q.Unit
	}
	row := []string{what}
	for i := range s.Trials {
		row = append(row, number(q.Of(&s.Trials[i])))
	}
	return row
}

// number shows three digits, and no more than three decimals.
func number(v float64) string {
	switch size := math.Abs(v); {
	case size >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case size >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case size >= 0.9995:
		return fmt.Sprintf("%.2f", v)
	case size >= 0.0005:
		return fmt.Sprintf("%.3f", v)
	default:
		return "0"
	}
}

// writeRequests says which requests a pod, a fresh pod, a node's start and a node at
// rest make, of the largest trial.
func (s *Side) writeRequests(out io.Writer) {
	if len(s.Trials) == 0 {
		return
	}
	t := &s.Trials[len(s.Trials)-1]
	for _, of := range []struct {
		what     string
		requests map[string]float64
	}{
		{"an ADD of three networks", t.Pod.Requests}, {"the same within half a second of its pod", t.Fresh},
		{"a node's start", t.Rollout.Requests}, {"a node at rest, a minute", t.Rest.Requests},
	} {
		fmt.Fprintf(out, "%s: %s: %s\n", s.Name, of.what, RequestsText(of.requests))
	}
}

// RequestsText lists requests and how many there are of each, "none" without any.
func RequestsText(requests map[string]float64) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(requests)) {
		if requests[what] >= 0.005 {
			all = append(all, fmt.Sprintf("%s %s", number(requests[what]), what))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
