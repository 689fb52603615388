// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"

	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// liveUnknown is DEL-02 and CHECK-06 for a container that nobody has.
func liveUnknownDel(ctx context.Context, e *thick.Env) { e.MustOK(e.Del(ctx, expect.Stranger(e))) }
