// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"net/http"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile lifecycle: a GC that is switched off, that fails, or that has
// no sandbox.
var gcErrorsMutants = []mutant.Mutant{
	{Name: "gc-disable-ignored", Cases: []string{"GC-03"}, Daemon: onGCConfig(func(conf map[string]any) { delete(conf, "disableGC") }),
		Fault: "disableGC of the request is ignored"},
	{Name: "gc-disable-of-network-ignored", Cases: []string{"GC-03"}, Daemon: gcDisableOfNetworkIgnored,
		Fault: "disableGC of a network is ignored"},
	{Name: "gc-disable-of-one-is-of-all", Cases: []string{"GC-03"}, Daemon: gcDisableOfOne,
		Fault: "disableGC of one network switches GC off for all"},
	{Name: "gc-disable-keeps-containers", Cases: []string{"GC-03"}, Daemon: gcDisableKeepsContainers,
		Fault: "disableGC of the request keeps the containers only: delegates get their GC"},
	{Name: "gc-stops-at-first-error", Cases: []string{"GC-03"}, Daemon: gcStops(func(*seam.Plugin) bool { return true }),
		Fault: "a delegate that fails ends the GC"},
	{Name: "gc-delete-error-ends-deletion", Cases: []string{"GC-03"}, Daemon: gcStops(func(p *seam.Plugin) bool { return p.Command() == "DEL" }),
		Fault: "nothing more is deleted after a delegate that failed at DEL"},
	{Name: "gc-delete-error-ends-gc-of-delegates", Cases: []string{"GC-03"}, Daemon: gcStops(func(p *seam.Plugin) bool { return p.Command() == "GC" }),
		Fault: "delegates get no GC after one that failed at DEL"},
	{Name: "gc-errors-swallowed", Cases: []string{"GC-03"}, Daemon: onGCError(func(error) error { return nil }),
		Fault: "GC succeeds whatever the delegates say"},
	{Name: "gc-delegate-error-swallowed", Cases: []string{"GC-03"}, Daemon: gcErrorSwallowed("GC"),
		Fault: "a delegate that fails at GC is not reported"},
	{Name: "gc-delete-error-swallowed", Cases: []string{"GC-03"}, Daemon: gcErrorSwallowed("DEL"),
		Fault: "a delegate that fails at DEL is not reported by GC"},
	{Name: "gc-first-error-only", Cases: []string{"GC-03"}, Daemon: onGCError(firstOnly),
		Fault: "GC reports the first failure only"},
	{Name: "gc-forgets-failed", Cases: []string{"GC-03"}, Daemon: gcForgetsFailed,
		Fault: "what failed is not tried again by the next GC"},

	{Name: "gc-needs-container", Cases: []string{"GC-04"}, Daemon: refusedWithout("GC", "CNI_CONTAINERID"),
		Fault: "GC asks for CNI_CONTAINERID"},
	{Name: "gc-needs-netns", Cases: []string{"GC-04"}, Daemon: refusedWithout("GC", "CNI_NETNS"),
		Fault: "GC asks for CNI_NETNS"},
	{Name: "status-needs-pod", Cases: []string{"GC-04"}, Daemon: refusedWithout("STATUS", "CNI_ARGS"),
		Fault: "STATUS asks for the pod in CNI_ARGS"},
	{Name: "gc-refuses-empty-variables", Cases: []string{"GC-04"}, Daemon: gcRefusesEmpty,
		Fault: "GC and STATUS validate a container id that is empty"},
	{Name: "gc-needs-pods", Cases: []string{"GC-04"}, Daemon: gcNeedsPods,
		Fault: "GC looks up the pods of what it deletes"},
	{Name: "shim-gc-needs-container", Cases: []string{"GC-04"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.GC = needsContainer(s.GC) }),
		Fault: "the shim refuses a GC without CNI_CONTAINERID"},
	{Name: "shim-status-needs-container", Cases: []string{"GC-04"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) { s.Status = needsContainer(s.Status) }),
		Fault: "the shim refuses a STATUS without CNI_CONTAINERID"},
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
		failures = append(failures, seam.CniOf(o).GCNetworkList(ctx, list, args))
	}
	return errors.Join(failures...)
}

func gcDisableOfNetworkIgnored(a *seam.Assembly) {
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		return errors.Join(next.GC(ctx, r), gcAnyway(ctx, o, func(list *libcni.NetworkConfigList) bool { return list.DisableGC }))
	})
}

func gcDisableOfOne(a *seam.Assembly) {
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		for _, list := range listsOf(o) {
			if list.DisableGC {
				return nil
			}
		}
		return next.GC(ctx, r)
	})
}

func gcDisableKeepsContainers(a *seam.Assembly) {
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
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
func gcStops(which func(p *seam.Plugin) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			if p.CommandOfRequest() != "GC" {
				return run(ctx, p)
			}
			if p.Request.Lost() && which(p) {
				return nil, errors.New("an earlier delegate has failed")
			}
			out, err := run(ctx, p)
			if err != nil {
				p.Request.Lose()
			}
			return out, err
		})
	}
}

// onGCError changes the error of a GC.
func onGCError(f func(error) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
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

func gcErrorSwallowed(command string) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			out, err := run(ctx, p)
			if p.CommandOfRequest() == "GC" && p.Command() == command {
				return out, nil
			}
			return out, err
		})
	}
}

func gcForgetsFailed(a *seam.Assembly) {
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		err := next.GC(ctx, r)
		if err != nil {
			for _, rec := range seam.RecordsOf(o.Ledger) {
				if rec.State == ledger.StateDeleting {
					_ = o.Ledger.Remove(rec.ContainerID)
				}
			}
		}
		return err
	})
}

// refusedWithout refuses a command without a variable.
func refusedWithout(command, name string) func(*seam.Assembly) {
	return onNodeCommand(func(req *api.Request) string {
		if req.Env["CNI_COMMAND"] == command && req.Env[name] == "" {
			return name + " is missing"
		}
		return ""
	})
}

func gcRefusesEmpty(a *seam.Assembly) {
	onNodeCommand(func(req *api.Request) string {
		if id, given := req.Env["CNI_CONTAINERID"]; given && id == "" {
			return "CNI_CONTAINERID is empty"
		}
		return ""
	})(a)
}

// onNodeCommand refuses GC and STATUS where f has a reason.
func onNodeCommand(f func(req *api.Request) string) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if req := seam.Decode(r); req != nil && (req.Env["CNI_COMMAND"] == "GC" || req.Env["CNI_COMMAND"] == "STATUS") {
				if why := f(req); why != "" {
					seam.AnswerError(w, http.StatusBadRequest, types.ErrInvalidEnvironmentVariables, why)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

func gcNeedsPods(a *seam.Assembly) {
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		for _, rec := range seam.RecordsOf(o.Ledger) {
			if _, err := o.Cluster.Pod(ctx, rec.Pod.Namespace, rec.Pod.Name); err != nil {
				return err
			}
		}
		return next.GC(ctx, r)
	})
}

func needsContainer(next seam.Command) seam.Command {
	return func(args *skel.CmdArgs) error {
		if args.ContainerID == "" {
			return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_CONTAINERID is missing", "")
		}
		return next(args)
	}
}
