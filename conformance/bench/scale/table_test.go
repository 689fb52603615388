// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"strings"
	"testing"
)

func trialOf(nodes int) Trial {
	n := float64(nodes)
	return Trial{Nodes: nodes, Idle: Memory{Live: 100, Resident: 200}, Memory: Memory{Live: 100 + n/10, Resident: 200 + n/5},
		Change:  Change{Milliseconds: 10 + n/4, Processor: 3 + n/20},
		Pod:     Pod{Requests: map[string]float64{"PATCH pods/status": 1, "POST events": 3}},
		Rollout: Rollout{Requests: map[string]float64{"WATCH pods": 1}}}
}

func TestTable(t *testing.T) {
	s := Side{Name: "one", Trials: []Trial{trialOf(50), trialOf(100), trialOf(200)}}
	s.Lines = lines(s.Trials)
	var out strings.Builder
	if err := (&Report{Sides: []Side{s}}).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range [][]string{
		{"NODES WITH ONE", "50", "100", "200", "A NODE", "R²", "~1000", "~5000"},
		{"API server's memory in use, more than without nodes, MiB", "5.00", "10.0", "20.0", "0.100", "1.000", "100 ± 0", "500 ± 0"},
		{"a definition changes: until all nodes know, ms", "22.5", "35.0", "60.0", "0.250", "1.000", "260 ± 0", "1260 ± 0"},
		{"requests of an ADD", "4.00", "4.00", "4.00"},
		{"one: an ADD of three networks: 1.00 PATCH pods/status, 3.00 POST events"},
		{"one: a node at rest, a minute: none"},
		{"Columns with ~ are not measured"},
	} {
		if !hasLine(text, want) {
			t.Errorf("no line with %q in\n%s", want, text)
		}
	}
	for _, row := range s.Rows() {
		if len(row) > len(s.Columns())+1 {
			t.Errorf("the row %q has more cells than the head %q", row, s.Columns())
		}
	}
}

// hasLine reports whether a line begins with the cells, in their order, apart by blanks.
func hasLine(text string, cells []string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		rest, all := line, true
		for _, cell := range cells {
			var found bool
			if rest, found = strings.CutPrefix(strings.TrimLeft(rest, " "), cell); !found {
				all = false
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

func TestOneTrialHasNoLine(t *testing.T) {
	s := Side{Name: "one", Trials: []Trial{trialOf(50)}}
	if got := strings.Join(s.Columns(), " "); got != "50" {
		t.Errorf("columns = %q", got)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1e-9: "0", 1234.6: "1235", 99.96: "100", 12.34: "12.3", 1.234: "1.23", 0.01234: "0.012", -12.34: "-12.3"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}
