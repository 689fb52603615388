// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"os"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/brief"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// What becomes of long texts.
var textsMutants = []mutant.Mutant{
	{Name: "errors-logged-whole", Cases: []string{"SEC-12"}, Daemon: errorsLoggedWhole,
		Fault: "a delegate's error fills the log, whatever its length"},
	{Name: "errors-answered-whole", Cases: []string{"SEC-12"}, Daemon: errorsAnsweredWhole,
		Fault: "a delegate's error is answered whole, whatever its length"},
	{Name: "errors-logged-raw", Cases: []string{"SEC-12"}, Daemon: errorsLoggedRaw,
		Fault: "what a delegate writes is logged as it is, and steers the terminal of whoever looks"},
	{Name: "annotation-repeated-raw", Cases: []string{"SEC-12"}, Daemon: annotationRepeatedRaw,
		Fault: "the error of a malformed annotation has a part of it as it is, and steers a terminal"},
}

func errorsLoggedWhole(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			result, err := next.Add(ctx, r)
			if err != nil {
				fmt.Fprintln(os.Stderr, "ADD failed:", err)
			}
			return result, err
		}
	})
}

func errorsLoggedRaw(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			result, err := next.Add(ctx, r)
			if err != nil {
				fmt.Fprintln(os.Stderr, "ADD failed:", brief.Cut(err.Error(), brief.Line))
			}
			return result, err
		}
	})
}

func annotationRepeatedRaw(a *seam.Assembly) {
	seam.OnError(func(_ *seam.Answered, cniError map[string]any) {
		text, _ := cniError["msg"].(string)
		cniError["msg"] = strings.NewReplacer(`\x1b`, "\x1b", `\u202e`, "\u202e").Replace(text)
	})(a)
}

// errorsAnsweredWhole fills up what was cut.
func errorsAnsweredWhole(a *seam.Assembly) {
	seam.OnError(func(_ *seam.Answered, cniError map[string]any) {
		for _, key := range []string{"msg", "details"} {
			text, _ := cniError[key].(string)
			if before, _, cut := strings.Cut(text, " … (cut;"); cut {
				cniError[key] = before + strings.Repeat("x", 500<<10)
			}
		}
	})(a)
}
