// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is what a run found.
type Report struct {
	Target  string `json:"target"`
	Version string `json:"version"`
	Seed    uint64 `json:"seed"`
	Slots   int    `json:"slots"`
	// Seconds is how long the daemon was disturbed.
	Seconds float64 `json:"seconds"`
	// Requests are counted by command; those to /delegate have a name of their
	// own, such as "hot-plug ADD".
	Requests map[string]Count `json:"requests"`
	// Disturbances are counted by what was done, such as "SIGKILL".
	Disturbances map[string]int `json:"disturbances"`
	// Violations are what must not have happened, MaxViolations at the most: the
	// run ends with the last of them.
	Violations []Violation `json:"violations"`
	// Left is nil when the run had to end before everything was deleted.
	Left *Left `json:"left"`
	// Failure is why the run could not be carried through, "" when it was.
	Failure string `json:"failure,omitempty"`
}

// MaxViolations is with how many violations a run ends.
const MaxViolations = 10

// Count says how often a command succeeded, failed while something disturbed
// the daemon or a scripted delegate failed, and failed without a reason.
type Count struct {
	Succeeded int `json:"succeeded"`
	Excused   int `json:"excused"`
	Failed    int `json:"failed"`
}

// Violation is something that must not be.
type Violation struct {
	// At is in seconds since the start.
	At   float64 `json:"at"`
	What string  `json:"what"`
	// Sandbox is the id of the container that it is about, "" for none.
	Sandbox string `json:"sandbox,omitempty"`
	// Story is what the sandbox has been through, Disturbances what disturbed the
	// daemon meanwhile, Log what the daemon printed about the sandbox last.
	Story        []string `json:"story,omitempty"`
	Disturbances []string `json:"disturbances,omitempty"`
	Log          []string `json:"log,omitempty"`
}

// Left is what is there when everything was deleted: nothing, if all is well.
type Left struct {
	Interfaces []string `json:"interfaces"`
	Leases     []string `json:"leases"`
	// Records are nil when the target does not say where it keeps them.
	Records []string `json:"records"`
	// Damaged are the records that the daemon has set aside.
	Damaged []string `json:"damaged"`
	// Pending are the DELs that a shim has left and no daemon has carried out.
	Pending []string `json:"pending"`
	// Undeleted are the attachments of scripted delegates whose last call is an
	// ADD.
	Undeleted []string `json:"undeleted"`
}

// byName are the kinds of things that may be left, in the report's order.
func (l *Left) byName() (names []string, lists map[string][]string) {
	return []string{"interfaces", "leases", "records", "damaged files", "pending DELs", "attachments without a DEL"}, map[string][]string{
		"interfaces": l.Interfaces, "leases": l.Leases, "records": l.Records, "damaged files": l.Damaged,
		"pending DELs": l.Pending, "attachments without a DEL": l.Undeleted,
	}
}

// Sound reports whether the target stood it: the run was carried through, was
// not empty, violated nothing and left nothing.
func (r *Report) Sound() bool {
	if r.Failure != "" || len(r.Violations) > 0 || r.Left == nil || r.Idle() != "" {
		return false
	}
	_, lists := r.Left.byName()
	for _, list := range lists {
		if len(list) > 0 {
			return false
		}
	}
	return true
}

// Idle says what a run has not done that it has to do before it shows anything,
// "" when it has done all.
func (r *Report) Idle() string {
	for _, command := range []string{"ADD", "DEL", "CHECK"} {
		if r.Requests[command].Succeeded == 0 {
			return "no " + command + " succeeded"
		}
	}
	if len(r.Disturbances) == 0 {
		return "nothing disturbed the daemon"
	}
	return ""
}

// Print writes the report for a person.
func (r *Report) Print(out io.Writer) {
	for i := range r.Violations {
		r.Violations[i].print(out)
	}
	fmt.Fprintf(out, "\n%s, version %q: %d slots for %.0f s, seed %d\n\n", r.Target, r.Version, r.Slots, r.Seconds, r.Seed)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "request\tsucceeded\tfailed with a reason\tfailed without\t")
	for _, command := range slices.Sorted(maps.Keys(r.Requests)) {
		n := r.Requests[command]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t\n", command, n.Succeeded, n.Excused, n.Failed)
	}
	_ = t.Flush()
	var disturbed []string
	for _, what := range slices.Sorted(maps.Keys(r.Disturbances)) {
		disturbed = append(disturbed, fmt.Sprintf("%d × %s", r.Disturbances[what], what))
	}
	fmt.Fprintf(out, "\ndisturbed by: %s\n", strings.Join(disturbed, ", "))
	if r.Left == nil {
		fmt.Fprintln(out, "left in the end: not judged, the run ended too soon")
	} else {
		r.Left.print(out)
	}
	switch idle := r.Idle(); {
	case r.Failure != "":
		fmt.Fprintf(out, "\nFAILED: %s\n", r.Failure)
	case r.Sound():
		fmt.Fprintln(out, "\nnothing was violated, and nothing is left")
	case len(r.Violations) == 0 && idle != "":
		fmt.Fprintf(out, "\nFAILED: the run shows nothing: %s\n", idle)
	case len(r.Violations) == 0:
		fmt.Fprintln(out, "\nFAILED: something is left")
	default:
		fmt.Fprintf(out, "\nFAILED: %d violations\n", len(r.Violations))
	}
}

func (l *Left) print(out io.Writer) {
	names, lists := l.byName()
	var counts, details []string
	for _, name := range names {
		if name == "records" && l.Records == nil {
			counts = append(counts, "records unknown (the target does not say where they are)")
			continue
		}
		counts = append(counts, fmt.Sprintf("%d %s", len(lists[name]), name))
		for _, one := range lists[name] {
			details = append(details, strings.TrimSuffix(name, "s")+": "+one)
		}
	}
	fmt.Fprintf(out, "left in the end: %s\n", strings.Join(counts, ", "))
	for _, line := range details[:min(len(details), 20)] {
		fmt.Fprintln(out, "  "+line)
	}
	if more := len(details) - 20; more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
}

func (v *Violation) print(out io.Writer) {
	fmt.Fprintf(out, "\nVIOLATION at %.2f s: %s\n", v.At, v.What)
	for _, part := range []struct {
		title string
		lines []string
	}{{"sandbox " + v.Sandbox, v.Story}, {"what disturbed the daemon meanwhile", v.Disturbances}, {"what it printed about the sandbox last", v.Log}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(out, "  %s:\n    %s\n", part.title, strings.Join(part.lines, "\n    "))
		}
	}
}
