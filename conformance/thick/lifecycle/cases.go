// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

func cases() []thick.Case {
	gc, status := []spec.Feature{thick.FeatureGC}, []spec.Feature{thick.FeatureStatus}
	return []thick.Case{
		{
			ID: "GC-01", Level: spec.Must, Source: "CNI", Needs: gc, Body: gcInvalidOnly,
			Title: "GC deletes what cni.dev/valid-attachments does not name; what it names keeps its further interfaces",
		},
		{
			ID: "GC-02", Level: spec.Must, Source: "CNI", Needs: gc, Body: gcDelegates,
			Title: "Each network's delegates get GC with its valid attachments under their own interface names",
		},
		{
			ID: "GC-03", Level: spec.Must, Source: "CNI", Needs: gc, Body: gcDisabledAndFailing,
			Title: "disableGC is honoured; errors do not stop the rest and are reported",
		},
		{
			ID: "GC-04", Level: spec.Must, Source: "#1490", Needs: []spec.Feature{thick.FeatureGC, thick.FeatureStatus}, Body: gcWithoutSandbox,
			Title: "GC and STATUS need no pod, container or namespace",
		},
		{
			ID: "ST-01", Level: spec.Must, Source: "CNI", Needs: status, Body: statusOfDelegates, Live: liveStatus,
			Title: "STATUS is 0 when ADD can be served; a delegate's STATUS error arrives with its code",
		},
		{
			ID: "ST-02", Level: spec.Must, Source: "CNI", Needs: status, Body: statusWithoutDefault,
			Title: "STATUS answers 50 while the default network's configuration is missing",
		},
	}
}

// expectFailed asserts that a request failed, and returns the error.
func expectFailed(err *types.Error, what string) *types.Error {
	ginkgo.GinkgoHelper()
	Expect(err).NotTo(BeNil(), what)
	return err
}
