// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/network"
)

func TestErrorCodes(t *testing.T) {
	own := types.NewError(120, "the delegate's", "")
	for _, tt := range []struct {
		err  error
		code uint
	}{
		{own, 120},
		{fmt.Errorf("wrapped: %w", own), 120},
		{errors.New("anything"), types.ErrInternal},
		{fmt.Errorf("a: %w", context.Canceled), types.ErrTryAgainLater},
		{fmt.Errorf("a: %w", context.DeadlineExceeded), types.ErrTryAgainLater},
		{fmt.Errorf("a: %w", network.ErrNoDefaultNetwork), types.ErrTryAgainLater},
	} {
		var got *types.Error
		if !errors.As(cniError(tt.err, "here"), &got) || got.Code != tt.code {
			t.Errorf("%v: got %v, want code %d", tt.err, got, tt.code)
		}
	}
	if cniError(nil, "here") != nil {
		t.Error("no error must stay none")
	}
}
