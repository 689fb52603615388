// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

func liveUnknownCheck(ctx context.Context, e *thick.Env) {
	_ = expect.CNIError(e.Check(ctx, expect.Stranger(e)))
}
