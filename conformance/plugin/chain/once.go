// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var onceCases = []plugin.Case{
	{ID: "CHN-11", Level: spec.Must, Source: "CNI §3, plugins#418, nerdctl#2908", Once: true, Slow: 15 * time.Second, Timeout: 3 * time.Minute,
		Title: "Ten ADDs and DELs at once on a fresh host succeed; killed at any point, DEL leaves nothing", Body: atOnceAndKilled},
}

// atOnce is how many containers come at once, kills how many ADDs are killed at
// the most.
const (
	atOnce = 10
	kills  = 40
)

func atOnceAndKilled(ctx context.Context, e *plugin.Env) {
	var all []*plugin.Attachment
	for range atOnce {
		all = append(all, e.Attach())
	}
	for _, command := range []string{"ADD", "DEL"} {
		for _, answer := range e.BeginAll(ctx, command, all) {
			Expect(answer.OK()).To(BeTrue(), "one of ten at once, on a host that is fresh: %s", answer.String())
		}
	}
	// A plugin that was executed before removes the interface after this one's DEL,
	// and takes with it what was put on it.
	var before plugin.State
	next := func() *plugin.Attachment {
		before = e.State()
		return e.Attach()
	}
	e.KillADD(ctx, kills, next, func(a *plugin.Attachment, moment string) {
		// A runtime has no result of the plugin; the one before's is the most that
		// it can give.
		answer := a.Del(ctx, plugin.Key("prevResult", a.Base))
		Expect(answer.OK()).To(BeTrue(), "DEL after an ADD %s: %s", moment, answer.String())
		a.DeleteInterface(a.IfName)
		e.ExpectRestored(before, "what is left after an ADD "+moment+", a DEL, and the end of the interface")
	})
}
