// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var statusCases = []runtime.Case{
	{ID: "RT-24", Level: spec.Should, Source: "CNI §2 STATUS, go-cni#120", Body: statusFails, Needs: []spec.Feature{runtime.FeatureStatus},
		Title: "A failing STATUS makes the network not ready with the plugin's msg; DEL still works"},
}

func statusFails(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	a := e.Attach(n)
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Status(ctx, n))
	e.Script("p2", script.Fake{Status: failing(50)})
	answer := e.Status(ctx, n)
	e.MustFail(answer, "STATUS with a plugin that is not available")
	Expect(answer.Said).To(ContainSubstring(words), "what the caller is told of the plugin's msg")
	e.MustOK(e.Del(ctx, a))
	expectOrder(e.CallsOf("DEL", a), backward, "DEL while STATUS fails")
}
