// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// phaseAttribute is how a daemon's log gives a request's phases: as slog's text
// or JSON handler writes a group of durations.
var phaseAttribute = regexp.MustCompile(`phases\.([^=\s]+)=([0-9.]+(?:ns|µs|ms|s))`)

// delegatePart begins the name of what one interface's delegates took, which is
// a part of the phase "delegates".
const delegatePart = "delegate."

// phases asks the target for its own account of an ADD of two networks, which
// is in its log, and adds what only the outside sees: the shim's start, and
// what is left of the whole.
func (b *bench) phases(ctx context.Context) {
	ginkgo.GinkgoHelper()
	s := b.sides[0]
	b.progress("%s: where the time of one ADD goes", s.side.Name)
	s.d = s.Start(ctx, thick.ConfigPatch(func(config map[string]any) { config["logLevel"] = "info" }))
	box := s.Sandbox(node.Networks("second"))
	var whole []time.Duration
	for range max(b.settings.Rounds/4, 20) {
		whole = append(whole, s.timeShim(ctx, "ADD", box))
		s.timeShim(ctx, "DEL", box)
	}
	s.stop(ctx)
	spent := map[string][]time.Duration{}
	for line := range strings.SplitSeq(s.d.Log(), "\n") {
		if !strings.Contains(line, "command=ADD") {
			continue
		}
		for _, match := range phaseAttribute.FindAllStringSubmatch(line, -1) {
			if d, err := time.ParseDuration(match[2]); err == nil {
				spent[match[1]] = append(spent[match[1]], d)
			}
		}
	}
	if len(spent) == 0 {
		return
	}
	phases := map[string]float64{"shim until first byte": s.side.Shim.FirstByte.P50}
	rest := latencyOf(whole).P50 - s.side.Shim.FirstByte.P50
	for phase, all := range spent {
		p50 := latencyOf(all).P50
		if name, part := strings.CutPrefix(phase, delegatePart); part {
			phases["delegates, of which "+name] = p50
			continue
		}
		phases[phase] = p50
		rest -= p50
	}
	phases["decoding, answer, shim's end"] = rest
	s.side.Phases = phases
}
