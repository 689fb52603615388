// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
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

// TestLocated has a delegate's error: the answer is the delegate's own, the text
// for the log says which attachment it was.
func TestLocated(t *testing.T) {
	c := &delegateCall{at: &ledger.Attachment{Network: "blue", Interface: "net1"}}
	err := c.located(fmt.Errorf("plugin: %w", types.NewError(120, "the link is down", "net1")))
	var own *types.Error
	if !errors.As(err, &own) || own.Code != 120 || own.Msg != "the link is down" || own.Details != "net1" {
		t.Errorf("the delegate's error: got %v", own)
	}
	for _, want := range []string{`network "blue"`, "interface net1", "the link is down"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if c.located(nil) != nil {
		t.Error("no error must stay none")
	}
}
