// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var delCases = []plugin.Case{
	{ID: "CHN-04", Level: spec.Must, Source: "CNI §2 DEL, calico#3412",
		Title: "DEL takes back what ADD did on the host (rules, devices, shaping); a new ADD on the same interface works", Body: delRestores},
}

func delRestores(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	before := e.State()
	a.MustAdd(ctx)
	a.MustDel(ctx)
	e.ExpectRestored(before, "what ADD and DEL leave on the host")
	a.Result = nil
	a.MustAdd(ctx)
	a.MustDel(ctx)
	e.ExpectRestored(before, "what the second ADD and DEL leave on the host")
}
