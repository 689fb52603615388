// SPDX-License-Identifier: Apache-2.0

package mutation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Verdict is what judging the mutants has shown.
type Verdict struct {
	Mutants []Mutant `json:"mutants"`
	Trials  []Trial  `json:"trials"`
	Killed  []string `json:"killed"`
	// Weak are those of the killed that a case killed by its deadline alone.
	Weak     []string   `json:"weak"`
	Survived []Survivor `json:"survived"`
	// Poor are the kills whose report does not say in the case's own words what is
	// wrong: a failure has to help the author of the implementation.
	Poor []PoorHeadline `json:"poor"`
	// NotJudged are those for which something is missing on this machine.
	NotJudged []Survivor `json:"notJudged"`

	catalog *suite.Catalog
}

// Survivor is a mutant that a case which claims it did not kill, or that was
// not judged at all.
type Survivor struct {
	Mutant string `json:"mutant"`
	Case   string `json:"case"`
	Why    string `json:"why"`
}

// PoorHeadline is a failure that does not say what is wrong.
type PoorHeadline struct {
	Mutant   string `json:"mutant"`
	Case     string `json:"case"`
	Headline string `json:"headline"`
}

// machinery are words that tell of the suite's inside and not of what was asked
// for.
var machinery = regexp.MustCompile(`Timed out|timeout occurred|Context was cancelled|<bool>|^[Ee]xpected|(^|: )(unexpected )?EOF$|\bnil pointer\b`)

// poor reports whether a failure's headline says what is wrong in other words
// than the case's.
func poor(r *report.CaseResult) bool {
	return r.State == report.Failed && (r.Unworded || machinery.MatchString(r.Headline()))
}

func verdictOf(catalog *suite.Catalog, mutants []Mutant, trials []Trial) *Verdict {
	v := &Verdict{Mutants: mutants, Trials: trials, Killed: []string{}, Weak: []string{}, Survived: []Survivor{}, NotJudged: []Survivor{}, Poor: []PoorHeadline{}, catalog: catalog}
	for i := range mutants {
		m := &mutants[i]
		if m.Equivalent != "" {
			continue
		}
		survived := v.survivals(m)
		if len(survived) == 0 {
			v.Killed = append(v.Killed, m.Name)
			if slices.ContainsFunc(m.Cases, func(id string) bool { return v.trial(m, id).Outcome == KilledByDeadline }) {
				v.Weak = append(v.Weak, m.Name)
			}
		}
		v.Survived = append(v.Survived, survived...)
	}
	for i := range trials {
		if t := &trials[i]; t.Outcome.kills() && poor(&t.CaseResult) {
			v.Poor = append(v.Poor, PoorHeadline{t.Mutant, t.ID, t.Headline()})
		}
	}
	return v
}

// survivals lists the claims on a mutant that did not hold.
func (v *Verdict) survivals(m *Mutant) []Survivor {
	var found []Survivor
	for _, id := range m.Cases {
		t, sane := v.trial(m, id), v.trial(&Mutant{Name: Baseline, Family: m.Family, Kubernetes: m.Kubernetes}, id)
		switch {
		case sane.State != report.Passed:
			found = append(found, Survivor{m.Name, id, fmt.Sprintf("%s without a fault as well: %s", sane.State, sane.Reason)})
		case t.Outcome == Survived:
			found = append(found, Survivor{m.Name, id, "the case passed"})
		case !t.Outcome.kills():
			found = append(found, Survivor{m.Name, id, fmt.Sprintf("the case did not notice the fault (%s %s): %s", t.State, t.Failure, t.Reason)})
		}
	}
	return found
}

func (v *Verdict) trial(m *Mutant, id string) *Trial {
	for i := range v.Trials {
		if t := &v.Trials[i]; t.Mutant == m.Name && t.Family == m.Family && t.Kubernetes == m.Kubernetes && t.ID == id {
			return t
		}
	}
	return &Trial{}
}

// Print shows the kill matrix and ends with the counts.
func (v *Verdict) Print(out io.Writer, verbose bool) {
	v.printMatrix(out)
	for _, m := range v.Mutants {
		if m.Equivalent != "" {
			fmt.Fprintf(out, "\nequivalent, not judged: %s (%s): %s\n  %s\n", m.Name, strings.Join(m.Cases, ", "), m.Fault, m.Equivalent)
		}
	}
	if verbose {
		for _, t := range v.Trials {
			if t.Mutant != Baseline && t.State == report.Failed {
				fmt.Fprintf(out, "\n%s against %s:\n  %s\n%s", t.ID, t.Mutant, indented(t.Reason), t.Brief())
			}
		}
	}
	var names []string
	for _, s := range v.Survived {
		fmt.Fprintf(out, "\nSURVIVED %s, claimed by %s: %s\n", s.Mutant, s.Case, indented(s.Why))
		if verbose {
			fmt.Fprint(out, v.story(s))
		}
		if !slices.Contains(names, s.Mutant) {
			names = append(names, s.Mutant)
		}
	}
	for _, n := range v.NotJudged {
		fmt.Fprintf(out, "\nNOT JUDGED %s, claimed by %s: %s\n", n.Mutant, n.Case, indented(n.Why))
	}
	v.printUnclaimed(out)
	v.printAgain(out)
	if len(v.Weak) > 0 {
		fmt.Fprintf(out, "\nkilled by a deadline, which a slow machine might do too: %s\n", strings.Join(v.Weak, ", "))
	}
	if len(v.Poor) > 0 {
		fmt.Fprintf(out, "\nkilled, and the report does not say in the case's words what is wrong (%d):\n", len(v.Poor))
		for _, p := range v.Poor {
			fmt.Fprintf(out, "  %s against %s: %s\n", p.Case, p.Mutant, p.Headline)
		}
	}
	fmt.Fprintf(out, "\n%d mutants, %d killed, %d survived", len(v.Killed)+len(names)+len(v.NotJudged), len(v.Killed), len(names))
	if n := len(v.NotJudged); n > 0 {
		fmt.Fprintf(out, ", %d NOT JUDGED", n)
	}
	fmt.Fprintln(out)
}

// printAgain lists the trials that ended as they should, but not at the first try.
func (v *Verdict) printAgain(out io.Writer) {
	for i := range v.Trials {
		if t := &v.Trials[i]; len(t.Before) > 0 && !t.wrong() {
			first := t.Before[0]
			fmt.Fprintf(out, "\nAT TRY %d ONLY: %s against %s %s; at first it %s: %s\n", len(t.Before)+1, t.ID, t.Mutant, t.Outcome, first.State, indented(cmp.Or(first.Reason, "no reason")))
		}
	}
}

// printUnclaimed lists, for each mutant, the cases that fail too and do not
// claim it.
func (v *Verdict) printUnclaimed(out io.Writer) {
	for _, m := range v.Mutants {
		var also []string
		for _, t := range v.Trials {
			if t.Mutant == m.Name && t.Family == m.Family && t.Kubernetes == m.Kubernetes && !t.Claimed && t.State == report.Failed {
				also = append(also, t.ID)
			}
		}
		if len(also) > 0 {
			slices.Sort(also)
			fmt.Fprintf(out, "\n%s fails unclaimed too: %s\n", m.Name, strings.Join(also, ", "))
		}
	}
}

// story is what was seen of a mutant that survived, "" when that is nothing.
func (v *Verdict) story(s Survivor) string {
	for i := range v.Mutants {
		if v.Mutants[i].Name == s.Mutant {
			if story := v.trial(&v.Mutants[i], s.Case).Story(); story != "" {
				return story + "\n"
			}
		}
	}
	return ""
}

// printMatrix prints, for each requirement, its mutants and how they ended.
func (v *Verdict) printMatrix(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nCASE\tMUTANT\tOUTCOME\tSECONDS\tFAULT")
	for _, c := range v.catalog.Cases() {
		for i := range v.Mutants {
			m := &v.Mutants[i]
			if m.Equivalent == "" && slices.Contains(m.Cases, c.ID) {
				r := v.trial(m, c.ID)
				fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%s\n", c.ID, m.Name, r.Outcome, r.Seconds, m.Fault)
			}
		}
	}
	_ = t.Flush()
}

func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// Write puts the verdict into mutants.json in a directory, which it makes.
func (v *Verdict) Write(dir string) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.MkdirAll(dir, 0o750)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "mutants.json"), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
