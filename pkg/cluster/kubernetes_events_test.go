// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"
	"unicode"

	"k8s.io/client-go/tools/record"

	"github.com/thicket-cni/thicket/pkg/brief"
)

// TestEventIsPlain: an event says in one short line what a delegate's error has,
// and does not steer the terminal on which somebody lists it (SEC-12).
func TestEventIsPlain(t *testing.T) {
	fake := record.NewFakeRecorder(2)
	k := &Kubernetes{events: &recorder{recorder: fake}}
	k.Event(&Pod{Namespace: "ns", Name: "p"}, EventWarning, "Failed", "no\x1b[2J\nWarning forged\u009b")
	if got, want := <-fake.Events, `Warning Failed no\x1b[2J\nWarning forged\u009b`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	k.Event(&Pod{Namespace: "ns", Name: "p"}, EventWarning, "Failed", strings.Repeat("\x7f", 600<<10))
	got := strings.TrimPrefix(<-fake.Events, "Warning Failed ")
	if len(got) > brief.Line || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) || !strings.Contains(got, "cut") {
		t.Errorf("%d bytes: %.80q", len(got), got)
	}
}
