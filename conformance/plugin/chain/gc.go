// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var gcCases = []plugin.Case{
	{ID: "CHN-12", Level: spec.Should, Source: "CNI §2 GC", Since: "1.1.0", Needs: []spec.Feature{plugin.FeatureGC},
		Title: "GC removes stale attachments' host resources", Body: gcRemoves},
}

func gcRemoves(ctx context.Context, e *plugin.Env) {
	valid := e.Attach()
	valid.MustAdd(ctx)
	before := e.State()
	stale := e.Attach()
	stale.MustAdd(ctx)
	stale.RemoveNetns()
	e.MustOK(e.GC(ctx, valid))
	// The kernel removes the interfaces of a namespace that is gone by and by.
	left := func() []string { return e.Changes(before, true) }
	node.Await(left, 5*time.Second)
	Expect(left()).To(BeEmpty(), "what differs on the host from before a container came, lost its namespace, and was not valid at GC")
}
