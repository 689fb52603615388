// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// What becomes of odd results.
func init() {
	register(
		mutant{name: "odd-results-ignored", cases: []string{"SEC-08"}, daemon: oddResultsIgnored,
			fault: "null elements of a delegate's result are passed over in silence"},
		mutant{name: "odd-results-end-daemon", cases: []string{"SEC-08"}, daemon: oddResultsPanic,
			fault: "a panic at a delegate's odd result is not recovered"},
		mutant{name: "odd-results-not-rolled-back", cases: []string{"SEC-08"}, daemon: oddResultsLeft,
			fault: "an ADD that fails for a delegate's odd result is not rolled back"},
		mutant{name: "odd-index-accepted", cases: []string{"SEC-08"}, daemon: oddIndexAccepted,
			fault: "an address of an interface that the result does not list is accepted"},
	)
}

// onOddResult has f change what an ADD's plugin printed, when it has null in a list.
func (a *assembly) onOddResult(f func(p *plugin, stdout []byte) ([]byte, error)) {
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		stdout, err := run(ctx, p)
		if err != nil || p.command() != "ADD" || !bytes.Contains(stdout, []byte("null")) {
			return stdout, err
		}
		return f(p, stdout)
	})
}

func oddResultsIgnored(a *assembly) {
	a.onOddResult(func(_ *plugin, stdout []byte) ([]byte, error) {
		var result map[string]any
		if json.Unmarshal(stdout, &result) != nil {
			return stdout, nil
		}
		for key, value := range result {
			if elements, ok := value.([]any); ok {
				result[key] = slices.DeleteFunc(elements, func(e any) bool { return e == nil })
			}
		}
		return json.Marshal(result)
	})
}

func oddResultsPanic(a *assembly) {
	a.onOddResult(func(_ *plugin, stdout []byte) ([]byte, error) {
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
func oddResultsLeft(a *assembly) {
	var odd bool
	a.onOddResult(func(_ *plugin, stdout []byte) ([]byte, error) {
		odd = true
		return stdout, nil
	})
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		if odd && p.rollback() {
			return nil, nil
		}
		return run(ctx, p)
	})
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			odd = false
			return next.Add(ctx, r)
		}
	})
}

func oddIndexAccepted(a *assembly) {
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		stdout, err := run(ctx, p)
		if err != nil || p.command() != "ADD" {
			return stdout, err
		}
		var result types100.Result
		if json.Unmarshal(stdout, &result) != nil {
			return stdout, nil
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
