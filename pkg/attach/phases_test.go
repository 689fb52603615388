// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"slices"
	"testing"
)

// TestPhasesTellDelegatesApart is about a list of two plugins and a network of
// one.
func TestPhasesTellDelegatesApart(t *testing.T) {
	ctx, phases := WithPhases(t.Context())
	timed(ctx, PhasePlan)()
	for _, name := range []string{"eth0", "eth0", "net1"} {
		timedDelegate(ctx, name)()
	}
	var keys []string
	for _, attr := range phases.LogValue().Group() {
		keys = append(keys, attr.Key)
	}
	if want := []string{"plan", "delegates", "delegate.eth0", "delegate.net1"}; !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}
	var parts int64
	for _, d := range phases.delegates {
		parts += int64(d.spent)
	}
	if all := int64(phases.Spent(PhaseDelegates)); parts != all {
		t.Errorf("the parts are %d of %d ns", parts, all)
	}
	timed(t.Context(), PhasePlan)() // nobody measures
}
