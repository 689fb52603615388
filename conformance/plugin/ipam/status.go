// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var statusCases = []plugin.Case{
	{ID: "IPAM-07", Level: spec.Should, Source: "CNI §2 STATUS", Since: "1.1.0", Needs: []spec.Feature{plugin.FeatureStatus}, Slow: 5 * time.Second,
		Title: "STATUS fails with 50 when no address is left or the configuration is unusable", Body: statusTells},
}

// unavailable is the code of a plugin that cannot serve ADD (CNI §2 STATUS).
const unavailable = 50

func statusTells(ctx context.Context, e *plugin.Env) {
	pool, none := e.Target.Has(plugin.FeaturePool), e.Target.HasVariant(variantNone)
	if !pool && !none {
		e.Skipf("the target has no pool that could be empty, and its file no variant %q", variantNone)
	}
	if none {
		expectUnavailable(e, e.Execute(ctx, e.Command("STATUS", e.Config(variantNone))), "the configuration has no addresses")
	}
	if !pool {
		return
	}
	smallPool(e)
	e.MustOK(e.Status(ctx))
	all := fill(ctx, e)
	expectUnavailable(e, e.Status(ctx), "no address is left")
	all[0].MustDel(ctx)
	e.MustOK(e.Status(ctx))
}

func expectUnavailable(e *plugin.Env, answer plugin.Answer, why string) {
	ginkgo.GinkgoHelper()
	e.MustFail(answer, "STATUS: "+why)
	Expect(answer.Error()).NotTo(BeNil(), "the error on stdout of %s", answer.String())
	Expect(answer.Error().Code).To(Equal(unavailable), "the code of STATUS when %s: %s", why, answer.String())
}
