// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile lifecycle: a GC that is switched off, that fails, or that has
// no sandbox.
func init() {
	register(
		mutant{name: "gc-disable-ignored", cases: []string{"GC-03"}, daemon: onGCConfig(func(conf map[string]any) { delete(conf, "disableGC") }),
			fault: "disableGC of the request is ignored"},
		mutant{name: "gc-disable-of-network-ignored", cases: []string{"GC-03"}, daemon: gcDisableOfNetworkIgnored,
			fault: "disableGC of a network is ignored"},
		mutant{name: "gc-disable-of-one-is-of-all", cases: []string{"GC-03"}, daemon: gcDisableOfOne,
			fault: "disableGC of one network switches GC off for all"},
		mutant{name: "gc-disable-keeps-containers", cases: []string{"GC-03"}, daemon: gcDisableKeepsContainers,
			fault: "disableGC of the request keeps the containers only: delegates get their GC"},
		mutant{name: "gc-stops-at-first-error", cases: []string{"GC-03"}, daemon: gcStops(func(*plugin) bool { return true }),
			fault: "a delegate that fails ends the GC"},
		mutant{name: "gc-delete-error-ends-deletion", cases: []string{"GC-03"}, daemon: gcStops(func(p *plugin) bool { return p.command() == "DEL" }),
			fault: "nothing more is deleted after a delegate that failed at DEL"},
		mutant{name: "gc-delete-error-ends-gc-of-delegates", cases: []string{"GC-03"}, daemon: gcStops(func(p *plugin) bool { return p.command() == "GC" }),
			fault: "delegates get no GC after one that failed at DEL"},
		mutant{name: "gc-errors-swallowed", cases: []string{"GC-03"}, daemon: onGCError(func(error) error { return nil }),
			fault: "GC succeeds whatever the delegates say"},
		mutant{name: "gc-delegate-error-swallowed", cases: []string{"GC-03"}, daemon: gcErrorSwallowed("GC"),
			fault: "a delegate that fails at GC is not reported"},
		mutant{name: "gc-delete-error-swallowed", cases: []string{"GC-03"}, daemon: gcErrorSwallowed("DEL"),
			fault: "a delegate that fails at DEL is not reported by GC"},
		mutant{name: "gc-first-error-only", cases: []string{"GC-03"}, daemon: onGCError(firstOnly),
			fault: "GC reports the first failure only"},
		mutant{name: "gc-forgets-failed", cases: []string{"GC-03"}, daemon: gcForgetsFailed,
			fault: "what failed is not tried again by the next GC"},

		mutant{name: "gc-needs-container", cases: []string{"GC-04"}, daemon: refusedWithout("GC", "CNI_CONTAINERID"),
			fault: "GC asks for CNI_CONTAINERID"},
		mutant{name: "gc-needs-netns", cases: []string{"GC-04"}, daemon: refusedWithout("GC", "CNI_NETNS"),
			fault: "GC asks for CNI_NETNS"},
		mutant{name: "status-needs-pod", cases: []string{"GC-04"}, daemon: refusedWithout("STATUS", "CNI_ARGS"),
			fault: "STATUS asks for the pod in CNI_ARGS"},
		mutant{name: "gc-refuses-empty-variables", cases: []string{"GC-04"}, daemon: gcRefusesEmpty,
			fault: "GC and STATUS validate a container id that is empty"},
		mutant{name: "gc-needs-pods", cases: []string{"GC-04"}, daemon: gcNeedsPods,
			fault: "GC looks up the pods of what it deletes"},
		mutant{name: "shim-gc-needs-container", cases: []string{"GC-04"}, shim: shimWith(func(s *skel.CNIFuncs) { s.GC = needsContainer(s.GC) }),
			fault: "the shim refuses a GC without CNI_CONTAINERID"},
		mutant{name: "shim-status-needs-container", cases: []string{"GC-04"}, shim: shimWith(func(s *skel.CNIFuncs) { s.Status = needsContainer(s.Status) }),
			fault: "the shim refuses a STATUS without CNI_CONTAINERID"},
	)
}

// gcAnyway runs GC of networks that the engine passes over.
func gcAnyway(ctx context.Context, o attach.Options, which func(*libcni.NetworkConfigList) bool) error {
	var failures []error
	for name, list := range listsOf(o) {
		if !which(list) {
			continue
		}
		list.DisableGC = false
		args := &libcni.GCArgs{ValidAttachments: withFailed(nil, name, o.Ledger)}
		failures = append(failures, cniOf(o).GCNetworkList(ctx, list, args))
	}
	return errors.Join(failures...)
}

func gcDisableOfNetworkIgnored(a *assembly) {
	a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		return errors.Join(next.GC(ctx, r), gcAnyway(ctx, o, func(list *libcni.NetworkConfigList) bool { return list.DisableGC }))
	})
}

func gcDisableOfOne(a *assembly) {
	a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		for _, list := range listsOf(o) {
			if list.DisableGC {
				return nil
			}
		}
		return next.GC(ctx, r)
	})
}

func gcDisableKeepsContainers(a *assembly) {
	a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		return errors.Join(next.GC(ctx, r), gcAnyway(ctx, o, func(list *libcni.NetworkConfigList) bool { return gcDisabled(r) && !list.DisableGC }))
	})
}

// gcDisabled says whether a request has disableGC.
func gcDisabled(r *attach.Request) bool {
	disabled := false
	withConfig(r, func(conf map[string]any) { disabled, _ = conf["disableGC"].(bool) })
	return disabled
}

// gcStops has no plugin of that kind run in a GC after one that failed.
func gcStops(which func(p *plugin) bool) func(*assembly) {
	return func(a *assembly) {
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			if p.commandOfRequest() != "GC" {
				return run(ctx, p)
			}
			if p.request.lost() && which(p) {
				return nil, errors.New("an earlier delegate has failed")
			}
			out, err := run(ctx, p)
			if err != nil {
				p.request.lose()
			}
			return out, err
		})
	}
}

// onGCError changes the error of a GC.
func onGCError(f func(error) error) func(*assembly) {
	return func(a *assembly) {
		a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
			if err := next.GC(ctx, r); err != nil {
				return f(err)
			}
			return nil
		})
	}
}

func firstOnly(err error) error {
	var own *types.Error
	if errors.As(err, &own) {
		return types.NewError(own.Code, own.Msg, "")
	}
	return err
}

func gcErrorSwallowed(command string) func(*assembly) {
	return func(a *assembly) {
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			out, err := run(ctx, p)
			if p.commandOfRequest() == "GC" && p.command() == command {
				return out, nil
			}
			return out, err
		})
	}
}

func gcForgetsFailed(a *assembly) {
	a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		err := next.GC(ctx, r)
		if err != nil {
			for _, rec := range recordsOf(o.Ledger) {
				if rec.State == ledger.StateDeleting {
					_ = o.Ledger.Remove(rec.ContainerID)
				}
			}
		}
		return err
	})
}

// refusedWithout refuses a command without a variable.
func refusedWithout(command, name string) func(*assembly) {
	return onNodeCommand(func(req *api.Request) string {
		if req.Env["CNI_COMMAND"] == command && req.Env[name] == "" {
			return name + " is missing"
		}
		return ""
	})
}

func gcRefusesEmpty(a *assembly) {
	onNodeCommand(func(req *api.Request) string {
		if id, given := req.Env["CNI_CONTAINERID"]; given && id == "" {
			return "CNI_CONTAINERID is empty"
		}
		return ""
	})(a)
}

// onNodeCommand refuses GC and STATUS where f has a reason.
func onNodeCommand(f func(req *api.Request) string) func(*assembly) {
	return func(a *assembly) {
		a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if req := decode(r); req != nil && (req.Env["CNI_COMMAND"] == "GC" || req.Env["CNI_COMMAND"] == "STATUS") {
				if why := f(req); why != "" {
					answerError(w, http.StatusBadRequest, types.ErrInvalidEnvironmentVariables, why)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

func gcNeedsPods(a *assembly) {
	a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		for _, rec := range recordsOf(o.Ledger) {
			if _, err := o.Cluster.Pod(ctx, rec.Pod.Namespace, rec.Pod.Name); err != nil {
				return err
			}
		}
		return next.GC(ctx, r)
	})
}

func needsContainer(next command) command {
	return func(args *skel.CmdArgs) error {
		if args.ContainerID == "" {
			return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_CONTAINERID is missing", "")
		}
		return next(args)
	}
}
