// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/thicket-cni/thicket/conformance"
)

// verdict is what judging the mutants has shown.
type verdict struct {
	Mutants  []mutant      `json:"mutants"`
	Trials   []trialResult `json:"trials"`
	Killed   []string      `json:"killed"`
	Survived []survivor    `json:"survived"`
	// NotJudged are those for which something is missing on this machine.
	NotJudged []survivor `json:"notJudged"`
}

// survivor is a mutant that a case which claims it did not kill, or that was
// not judged at all.
type survivor struct {
	Mutant string `json:"mutant"`
	Case   string `json:"case"`
	Why    string `json:"why"`
}

func verdictOf(chosen []mutant, results []trialResult) *verdict {
	v := &verdict{Mutants: chosen, Trials: results, Killed: []string{}, Survived: []survivor{}}
	for i := range chosen {
		m := &chosen[i]
		if m.Equivalent != "" {
			continue
		}
		survived := v.survivals(m)
		if len(survived) == 0 {
			v.Killed = append(v.Killed, m.Name)
		}
		v.Survived = append(v.Survived, survived...)
	}
	return v
}

// survivals lists the claims on a mutant that did not hold.
func (v *verdict) survivals(m *mutant) []survivor {
	var found []survivor
	for _, id := range m.Cases {
		r, sane := v.result(m, id), v.result(&mutant{Name: baseline, Kubernetes: m.Kubernetes}, id)
		switch o := outcome(m, &r.CaseResult); {
		case sane.State != conformance.Passed:
			found = append(found, survivor{m.Name, id, fmt.Sprintf("%s without a fault as well: %s", sane.State, sane.Reason)})
		case o == "survived":
			found = append(found, survivor{m.Name, id, "the case passed"})
		case o != killed:
			found = append(found, survivor{m.Name, id, fmt.Sprintf("the case did not notice the fault (%s): %s", o, r.Reason)})
		}
	}
	return found
}

func (v *verdict) result(m *mutant, id string) *trialResult {
	for i := range v.Trials {
		if r := &v.Trials[i]; r.Mutant == m.Name && r.Kubernetes == m.Kubernetes && r.ID == id {
			return r
		}
	}
	return &trialResult{}
}

// print shows the kill matrix and ends with the counts.
func (v *verdict) print(out io.Writer, verbose bool) {
	v.printMatrix(out)
	for _, m := range v.Mutants {
		if m.Equivalent != "" {
			fmt.Fprintf(out, "\nequivalent, not judged: %s (%s): %s\n  %s\n", m.Name, strings.Join(m.Cases, ", "), m.Fault, m.Equivalent)
		}
	}
	if verbose {
		for _, r := range v.Trials {
			if r.Mutant != baseline && r.State == conformance.Failed {
				fmt.Fprintf(out, "\n%s against %s:\n  %s\n", r.ID, r.Mutant, indented(r.Reason))
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
	fmt.Fprintf(out, "\n%d mutants, %d killed, %d survived", len(v.Killed)+len(names)+len(v.NotJudged), len(v.Killed), len(names))
	if n := len(v.NotJudged); n > 0 {
		fmt.Fprintf(out, ", %d NOT JUDGED", n)
	}
	fmt.Fprintln(out)
}

// story is what was seen of a mutant that survived, "" when that is nothing.
func (v *verdict) story(s survivor) string {
	for i := range v.Mutants {
		if v.Mutants[i].Name == s.Mutant {
			if story := v.result(&v.Mutants[i], s.Case).Story(); story != "" {
				return story + "\n"
			}
		}
	}
	return ""
}

// printMatrix prints, for each requirement, its mutants and how they ended.
func (v *verdict) printMatrix(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nCASE\tMUTANT\tOUTCOME\tSECONDS\tFAULT")
	for _, c := range conformance.Catalog() {
		for i := range v.Mutants {
			m := &v.Mutants[i]
			if m.Equivalent == "" && slices.Contains(m.Cases, c.ID) {
				r := v.result(m, c.ID)
				fmt.Fprintf(t, "%s\t%s\t%s\t%.1f\t%s\n", c.ID, m.Name, outcome(m, &r.CaseResult), r.Seconds, m.Fault)
			}
		}
	}
	_ = t.Flush()
}

func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") }

// write puts the verdict into mutants.json in a directory, which it makes.
func (v *verdict) write(dir string) error {
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
