// SPDX-License-Identifier: Apache-2.0

// Package mutation proves that cases can fail: it has implementations with one
// deliberate fault each judged by the cases that claim to notice it.
package mutation

import (
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// Mutant is an implementation with one fault.
type Mutant struct {
	Name string `json:"name"`
	// Family names the implementation that has the fault. Each has a baseline of
	// its own. Empty means the product's.
	Family string `json:"family,omitempty"`
	// Kind says which part of the implementation is faulty.
	Kind  string `json:"kind"`
	Fault string `json:"fault"`
	// Cases claim it: each of them has to fail.
	Cases []string `json:"cases"`
	// Unserved means that the fault keeps the daemon from serving.
	Unserved bool `json:"unserved,omitempty"`
	// Kubernetes means that the fault shows with an API server only.
	Kubernetes bool `json:"kubernetes,omitempty"`
	// Equivalent is why nothing can tell it from an implementation without a
	// fault; it is listed and not judged.
	Equivalent string `json:"equivalent,omitempty"`
}

// Baseline is a family's mutant without a fault, which has to pass every case
// that claims another.
const Baseline = "none"

// setting is what a mutant and its baseline have in common.
type setting struct {
	family     string
	kubernetes bool
}

func (m *Mutant) setting() setting { return setting{m.Family, m.Kubernetes} }

// Choice says which mutants are judged; its zero value is all of them.
type Choice struct {
	// Names and IDs keep the mutants of that name, and those that these cases
	// claim; both may be patterns of path.Match.
	Names, IDs []string
	// Sample keeps so many, drawn by Seed; 0 keeps all.
	Sample int
	Seed   uint64
}

// Of returns the chosen mutants in their order. The baseline is not among them.
func (c *Choice) Of(all []Mutant) ([]Mutant, error) {
	var names, ids []string
	for _, m := range all {
		names, ids = append(names, m.Name), append(ids, m.Cases...)
	}
	named, err := suite.Pick("mutant", c.Names, names)
	if err != nil {
		return nil, err
	}
	claiming, err := suite.Pick("case with a mutant", c.IDs, ids)
	if err != nil {
		return nil, err
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(m Mutant) bool {
		claimed := slices.ContainsFunc(m.Cases, func(id string) bool { return slices.Contains(claiming, id) })
		return m.Name == Baseline || len(c.Names) > 0 && !slices.Contains(named, m.Name) || len(c.IDs) > 0 && !claimed
	})
	if c.Sample > 0 && c.Sample < len(chosen) {
		// A sample need not be unpredictable, it must be repeatable.
		draw := rand.New(rand.NewPCG(c.Seed, 0))
		draw.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:c.Sample]
		at := func(m Mutant) int { return slices.IndexFunc(all, func(o Mutant) bool { return o.Name == m.Name }) }
		slices.SortStableFunc(chosen, func(a, b Mutant) int { return at(a) - at(b) })
	}
	if len(chosen) == 0 {
		return nil, errors.New("no mutant is chosen")
	}
	return chosen, nil
}
