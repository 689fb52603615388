// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/suite"
)

func TestLine(t *testing.T) {
	l := suite.Live{Done: 3, Of: 120, Failed: 1, Running: []string{"SOCK-04", "RES-06"}, Left: 95 * time.Second}
	for want, c := range map[string]struct {
		l     suite.Live
		since time.Duration
		width int
	}{
		"3/120 done, 1 failed, about 1m30s left: SOCK-04 RES-06": {l, 5 * time.Second, 80},
		"3/120 done, 1 failed, about 1s left: SOCK-04 RES-06":    {l, time.Hour, 80},
		"3/120 done, 1 failed, abou…":                            {l, 5 * time.Second, 28},
		"0/120 done, 0 failed":                                   {suite.Live{Of: 120}, time.Second, 80},
	} {
		if got := line(c.l, c.since, c.width); got != want || utf8.RuneCountInString(got) >= c.width {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Elsewhere than on a terminal there is a line for each case and nothing else.
func TestPlainLines(t *testing.T) {
	var out bytes.Buffer
	w := watch(&out)
	w.moved(suite.Live{Of: 2, Running: []string{"SOCK-04"}})
	w.ended(1, 2, report.CaseResult{ID: "SOCK-04", State: report.Passed, Seconds: 1.25, Title: "At no instant"})
	w.moved(suite.Live{Done: 1, Of: 2})
	w.close()
	if out.String() != "  1/2  passed   SOCK-04    1.2 s  At no instant\n" {
		t.Errorf("%q", out.String())
	}
}

// On a terminal what failed stays above the line.
func TestLiveLine(t *testing.T) {
	var out bytes.Buffer
	w := watch(&out)
	w.width = func() int { return 40 }
	w.moved(suite.Live{Of: 2, Running: []string{"SOCK-04"}})
	w.ended(1, 2, report.CaseResult{ID: "SOCK-04", State: report.Failed, Seconds: 1, Title: "At no instant"})
	w.moved(suite.Live{Done: 1, Of: 2, Failed: 1})
	w.ended(2, 2, report.CaseResult{ID: "SOCK-05", State: report.Passed})
	w.close()
	want := erase + "0/2 done, 0 failed: SOCK-04" + erase + "failed   SOCK-04    1.0 s  At no instant\n" + erase + "1/2 done, 1 failed" + erase
	if out.String() != want {
		t.Errorf("%q\nwant\n%q", out.String(), want)
	}
}
