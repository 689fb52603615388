// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// What becomes of odd results.
var resultsMutants = []mutant.Mutant{
	{Name: "odd-results-ignored", Cases: []string{"SEC-08"}, Daemon: oddResultsIgnored,
		Fault: "null elements of a delegate's result are passed over in silence"},
	{Name: "odd-results-end-daemon", Cases: []string{"SEC-08"}, Daemon: oddResultsPanic,
		Fault: "a panic at a delegate's odd result is not recovered"},
	{Name: "odd-results-not-rolled-back", Cases: []string{"SEC-08"}, Daemon: oddResultsLeft,
		Fault: "an ADD that fails for a delegate's odd result is not rolled back"},
	{Name: "odd-index-accepted", Cases: []string{"SEC-08"}, Daemon: oddIndexAccepted,
		Fault: "an address of an interface that the result does not list is accepted"},
}

func oddResultsIgnored(a *seam.Assembly) {
	a.OnOddResult(func(_ *seam.Plugin, stdout []byte) ([]byte, error) {
		var result map[string]any
		if json.Unmarshal(stdout, &result) != nil {
			return stdout, nil //nolint:nilerr // what is not JSON is left to the daemon
		}
		for key, value := range result {
			if elements, ok := value.([]any); ok {
				result[key] = slices.DeleteFunc(elements, func(e any) bool { return e == nil })
			}
		}
		return json.Marshal(result)
	})
}

func oddResultsPanic(a *seam.Assembly) {
	a.OnOddResult(func(_ *seam.Plugin, stdout []byte) ([]byte, error) {
		converted := make(chan struct{})
		go func() {
			defer close(converted)
			var result struct{ Routes, IPs, Interfaces []*types100.Interface }
			_ = json.Unmarshal(stdout, &result)
			for _, element := range slices.Concat(result.Routes, result.IPs, result.Interfaces) {
				element.Name += "."
			}
		}()
		<-converted
		return stdout, nil
	})
}

// oddResultsLeft forgets the sandbox in place of its rollback.
func oddResultsLeft(a *seam.Assembly) {
	var odd bool
	a.OnOddResult(func(_ *seam.Plugin, stdout []byte) ([]byte, error) {
		odd = true
		return stdout, nil
	})
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		if odd && p.Rollback() {
			return nil, nil
		}
		return run(ctx, p)
	})
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			odd = false
			return next.Add(ctx, r)
		}
	})
}

func oddIndexAccepted(a *seam.Assembly) {
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		stdout, err := run(ctx, p)
		if err != nil || p.Command() != "ADD" {
			return stdout, err
		}
		var result types100.Result
		if json.Unmarshal(stdout, &result) != nil {
			return stdout, nil //nolint:nilerr // what is not a result is left to the daemon
		}
		for _, ip := range result.IPs {
			if ip != nil && ip.Interface != nil && (*ip.Interface < 0 || *ip.Interface >= len(result.Interfaces)) {
				ip.Interface = nil
			}
		}
		if slices.Contains(result.IPs, nil) || slices.Contains(result.Interfaces, nil) || slices.Contains(result.Routes, nil) {
			return stdout, nil
		}
		return json.Marshal(&result)
	})
}
