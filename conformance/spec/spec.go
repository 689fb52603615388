// SPDX-License-Identifier: Apache-2.0

// Package spec has the values that a requirement is made of. They have no
// behaviour: every other package of the suite may use them.
package spec

import "fmt"

// Version is the suite's semantic version: it changes when a case is added or
// judges differently, and every report says which version judged.
const Version = "0.3.0"

// Level says what a failed case means.
type Level string

const (
	// Must is for requirements that gate: an implementation that fails one
	// does not conform.
	Must Level = "MUST"
	// Should is for requirements that are reported and do not gate.
	Should Level = "SHOULD"
)

// Feature names an ability that a target may have and that some cases need.
// Which features there are depends on the kind of subject.
type Feature string

// Requirement is one row of a contract.
type Requirement struct {
	// ID is the requirement's own, such as "SOCK-04"; it is never used for
	// another requirement.
	ID string
	// Profile is the group that it belongs to, such as "socket".
	Profile string
	Level   Level
	// Title is the requirement in one line.
	Title string
	// Source says where it comes from: the API, a section of the CNI
	// specification, the NPWG standard, or the number of a user's report.
	Source string
}

// String returns the requirement as messages quote it.
func (r Requirement) String() string { return fmt.Sprintf("%s (%s)", r.ID, r.Title) }
