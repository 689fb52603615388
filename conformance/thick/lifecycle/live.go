// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// liveStatus is ST-01 on a node in use, whose default network is there.
func liveStatus(ctx context.Context, e *thick.Env) {
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, expect.StatusRequest(e)))
}
