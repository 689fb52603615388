// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"context"
	"net/http"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// liveReady is READY-07 on a node in use: ready, and saying so.
func liveReady(ctx context.Context, e *thick.Env) {
	expect.Probe(ctx, e, api.MultusReadyAPIEndpoint, http.StatusOK)
	Expect(api.CheckAPIReadyNow(e.RunDir)).To(Succeed())
}
