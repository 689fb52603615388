// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/xml"
	"strings"

	"github.com/onsi/ginkgo/v2/reporters"
)

// junitCase is one case. Exactly one of its Failure, Error and Skipped is set,
// or none when it passed.
func (r *Report) junitCase(c *CaseResult) reporters.JUnitTestCase {
	test := reporters.JUnitTestCase{Name: c.ID + " " + c.Title, Classname: c.Profile, Status: string(c.State), Time: c.Seconds}
	message, excuse := c.Headline(), c.Excuse()
	if excuse != "" {
		message = strings.TrimSuffix(excuse+": "+message, ": ")
	}
	switch {
	case c.Gates():
		test.Failure = &reporters.JUnitFailure{Message: message, Type: string(c.Level), Description: c.Reason + "\n" + c.Story()}
	case c.State == Passed:
	case excuse != "":
		test.Skipped = &reporters.JUnitSkipped{Message: message}
		test.SystemOut = c.Reason + "\n" + c.Story()
	case c.State == Failed:
		test.Skipped = &reporters.JUnitSkipped{Message: "a SHOULD that is not kept: " + message}
		test.SystemOut = c.Reason + "\n" + c.Story()
	case c.Failure == Interrupted:
		test.Error = &reporters.JUnitError{Message: message, Type: string(c.Failure), Description: "whether the requirement is kept is not known"}
	default:
		test.Skipped = &reporters.JUnitSkipped{Message: c.Reason}
	}
	return test
}

// junit renders the report in the form that CI servers read: a test suite per
// profile, a test case per case. What does not gate the exit status does not gate
// here: CI servers show a failed SHOULD, a waived failure and one that was in the
// baseline as skipped, with what failed. A case that
// an interrupted run did not come to is an error.
func (r *Report) junit() ([]byte, error) {
	all := reporters.JUnitTestSuites{Time: r.Seconds}
	at := map[string]int{}
	for _, c := range r.Cases {
		i, known := at[c.Profile]
		if !known {
			i = len(all.TestSuites)
			at[c.Profile] = i
			all.TestSuites = append(all.TestSuites, reporters.JUnitTestSuite{
				Name: c.Profile, Package: r.Target.Name, Timestamp: r.Started.Format("2006-01-02T15:04:05"),
			})
		}
		s := &all.TestSuites[i]
		test := r.junitCase(&c)
		switch {
		case test.Failure != nil:
			s.Failures++
			all.Failures++
		case test.Error != nil:
			s.Errors++
			all.Errors++
		case test.Skipped != nil:
			s.Skipped++
			all.Disabled++
		}
		s.Tests++
		s.Time += c.Seconds
		all.Tests++
		s.TestCases = append(s.TestCases, test)
	}
	out, err := xml.MarshalIndent(&all, "", "  ")
	return append([]byte(xml.Header), out...), err
}
