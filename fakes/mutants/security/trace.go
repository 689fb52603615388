// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"maps"
	"os"
	"strings"
	"sync"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/tracing"
)

var sec05 = []string{"SEC-05"}

var traceVariables = []string{"TRACEPARENT", "TRACESTATE", "BAGGAGE"}

// The profile security: the trace context of the runtime.
var traceMutants = []mutant.Mutant{
	{Name: "trace-dropped-by-shim", Cases: sec05, Shim: shimWithout(traceVariables...),
		Fault: "the shim keeps the runtime's trace context to itself"},
	{Name: "trace-state-dropped-by-shim", Cases: sec05, Shim: shimWithout("TRACESTATE"),
		Fault: "the shim passes TRACEPARENT on and not TRACESTATE"},
	{Name: "trace-baggage-dropped-by-shim", Cases: sec05, Shim: shimWithout("BAGGAGE"),
		Fault: "the shim passes the trace on without its baggage"},
	{Name: "trace-dropped-at-shims-del", Cases: sec05, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.Del = withoutVariables(s.Del, traceVariables...) }),
		Fault: "the shim passes the trace context on at ADD and not at DEL"},
	{Name: "trace-dropped-by-daemon", Cases: sec05, Daemon: onTrace(func(_ *seam.Plugin, trace map[string]string) { clear(trace) }),
		Fault: "the daemon keeps the trace context to itself"},
	{Name: "trace-dropped-at-check", Cases: sec05, Daemon: onTrace(func(p *seam.Plugin, trace map[string]string) {
		if p.Command() == "CHECK" {
			clear(trace)
		}
	}), Fault: "the delegates of a CHECK do not hear of the trace"},
	{Name: "trace-of-default-network-only", Cases: sec05, Daemon: onTrace(func(p *seam.Plugin, trace map[string]string) {
		if p.NetworkOf() != "default" {
			clear(trace)
		}
	}), Fault: "the trace context reaches the default network's delegates only"},
	{Name: "trace-dropped-in-rollback", Cases: sec05, Daemon: onTrace(func(p *seam.Plugin, trace map[string]string) {
		if p.Rollback() {
			clear(trace)
		}
	}), Fault: "what an ADD undoes is not a part of its trace"},
	{Name: "trace-dropped-on-hot-plug", Cases: sec05, Daemon: func(a *seam.Assembly) {
		a.OnCommand(func(path string, req *api.Request) {
			if path == api.MultusDelegateAPIEndpoint {
				maps.DeleteFunc(req.Env, func(name, _ string) bool { return strings.HasPrefix(name, "TRACE") || name == "BAGGAGE" })
			}
		})
	}, Fault: "the trace context of a request on /delegate is not read"},
	{Name: "trace-baggage-dropped", Cases: sec05, Daemon: onTrace(func(_ *seam.Plugin, trace map[string]string) { delete(trace, "BAGGAGE") }),
		Fault: "delegates get the trace without its baggage"},
	{Name: "trace-begun-anew", Cases: sec05, Daemon: onTrace(func(_ *seam.Plugin, trace map[string]string) {
		if parent := trace["TRACEPARENT"]; len(parent) > 35 {
			trace["TRACEPARENT"] = parent[:3] + strings.Repeat("a", 32) + parent[35:]
		}
	}), Fault: "the daemon begins a trace of its own in place of the runtime's"},
	{Name: "trace-of-the-request-before", Cases: sec05, Daemon: traceOfBefore,
		Fault: "the trace context is kept for the daemon as a whole, and a request without one gets the last one's"},
	{Name: "trace-malformed-passed-on", Cases: sec05, Daemon: traceContextUnchecked,
		Fault: "delegates get the trace context as the client sent it"},
	{Name: "trace-state-without-parent", Cases: sec05, Daemon: stateWithoutParent,
		Fault: "in place of a malformed TRACEPARENT the daemon makes one, with the state of the other"},
	{Name: "trace-refused", Cases: sec05, Daemon: func(a *seam.Assembly) {
		a.OnCommand(func(_ string, req *api.Request) {
			if strings.Contains(req.Env["TRACESTATE"], "\n") {
				req.Env["CNI_COMMAND"] = "" // the request is answered with an error
			}
		})
	}, Fault: "a request whose trace context is malformed is refused"},
}

func shimWithout(variables ...string) func() {
	return seam.Around(func(next seam.Command) seam.Command { return withoutVariables(next, variables...) })
}

func withoutVariables(next seam.Command, variables ...string) seam.Command {
	return func(args *skel.CmdArgs) error {
		for _, name := range variables {
			_ = os.Unsetenv(name)
		}
		return next(args)
	}
}

// onTrace changes the trace context that each plugin is given.
func onTrace(f func(p *seam.Plugin, trace map[string]string)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			given := map[string]string{}
			for _, variable := range tracing.Variables(ctx) {
				name, value, _ := strings.Cut(variable, "=")
				given[name] = value
			}
			f(p, given)
			return run(tracing.FromVariables(ctx, given), p)
		})
	}
}

// traceOfBefore remembers the last trace context that was sent.
func traceOfBefore(a *seam.Assembly) {
	var mu sync.Mutex
	last := map[string]string{}
	a.OnCommand(func(_ string, req *api.Request) {
		mu.Lock()
		defer mu.Unlock()
		for _, name := range traceVariables {
			if req.Env[name] != "" {
				last[name] = req.Env[name]
			}
		}
		maps.Copy(req.Env, last)
	})
}

// stateWithoutParent reads a state as if its parent were well-formed.
func stateWithoutParent(a *seam.Assembly) {
	a.OnCommand(func(_ string, req *api.Request) {
		if parent := req.Env["TRACEPARENT"]; parent != "" && tracing.ID(tracing.FromVariables(context.Background(), req.Env)) == "" {
			req.Env["TRACEPARENT"] = "00-" + strings.Repeat("a", 32) + "-" + strings.Repeat("a", 16) + "-01"
		}
	})
}
