// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"
)

// What is published says nothing of the machine that judged.
func TestAbridgedReasons(t *testing.T) {
	for text, want := range map[string]string{
		`got ["PATH=/home/me/bin:/usr/bin" "CNI_PATH=/opt/cni/bin"]`: `got ["PATH=…" "CNI_PATH=/opt/cni/bin"]`,
		"PATH=/home/me/bin\nCNI_ARGS=K=a":                            "PATH=…\nCNI_ARGS=K=a",
		"[PATH=/a CNI_COMMAND=ADD]":                                  "[PATH=… CNI_COMMAND=ADD]",
		"CNI_PATH= is empty":                                         "CNI_PATH= is empty",
	} {
		r := &Report{Cases: []CaseResult{{Reason: text, Editions: []EditionResult{{Reason: text}}}}}
		short := r.Abridge().Cases[0]
		if short.Reason != want || short.Editions[0].Reason != want {
			t.Errorf("%q becomes %q and %q", text, short.Reason, short.Editions[0].Reason)
		}
	}
	long := (&Report{Cases: []CaseResult{{Reason: strings.Repeat("line\n", 1000)}}}).Abridge().Cases[0].Reason
	if len(long) > publishedReason+len("\n…") || !strings.HasSuffix(long, "line\n…") {
		t.Errorf("a long reason ends in %q and has %d bytes", long[len(long)-10:], len(long))
	}
}
