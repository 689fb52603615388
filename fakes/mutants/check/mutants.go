// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile check.
var mutants = []mutant.Mutant{
	{Name: "check-default-only", Cases: []string{"CHECK-01"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool {
		return p.Command() == "CHECK" && p.Request != nil && p.Get("CNI_IFNAME") != p.Request.Interface
	}), Fault: "CHECK checks the default network only"},
	{Name: "check-prev-result-missing", Cases: []string{"CHECK-02"}, Daemon: seam.OnConf("CHECK", seam.DropPrevResult),
		Fault: "delegates get no prevResult at CHECK"},
	{Name: "check-runtime-config-missing", Cases: []string{"CHECK-02"}, Daemon: seam.OnConf("CHECK", func(_ *seam.Plugin, conf map[string]any) { delete(conf, "runtimeConfig") }),
		Fault: "delegates get no runtimeConfig at CHECK"},
	{Name: "check-config-of-now", Cases: []string{"CHECK-02"}, Daemon: seam.ConfigOfNow("CHECK"),
		Fault: "CHECK uses the network definitions as they are now"},
	{Name: "check-last-failure", Cases: []string{"CHECK-03"}, Daemon: checkLastFailure,
		Fault: "the last failure of a CHECK is returned"},
	{Name: "check-code-lost", Cases: []string{"CHECK-03"}, Daemon: onCheckError(func(err error) error { return errors.New(err.Error()) }),
		Fault: "a failing CHECK has the code of an internal error"},
	{Name: "check-always-succeeds", Cases: []string{"CHECK-03", "CHECK-04"}, Daemon: onCheckError(func(error) error { return nil }),
		Fault: "CHECK succeeds whatever the delegates say"},
	{Name: "check-not-passed-on", Cases: []string{"CHECK-01", "CHECK-04"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool { return p.Command() == "CHECK" }),
		Fault: "CHECK looks at the ledger only and runs no delegate"},
	{Name: "check-disable-ignored", Cases: []string{"CHECK-05"}, Daemon: checkInSpite(func(list *libcni.NetworkConfigList) bool {
		disabled := list.DisableCheck
		list.DisableCheck = false
		return disabled
	}), Fault: "disableCheck is ignored"},
	{Name: "check-old-versions", Cases: []string{"CHECK-05"}, Daemon: checkInSpite(func(list *libcni.NetworkConfigList) bool {
		known, err := version.GreaterThanOrEqualTo(list.CNIVersion, "0.4.0")
		list.CNIVersion = "0.4.0"
		return err == nil && !known
	}), Fault: "networks below 0.4.0 are checked"},
	{Name: "check-old-versions-fail", Cases: []string{"CHECK-05"}, Daemon: checkOldVersionsFail,
		Fault: "CHECK fails for a network below 0.4.0"},
	{Name: "check-unknown-succeeds", Cases: []string{"CHECK-06"}, Daemon: checkUnknownSucceeds,
		Fault: "CHECK of a container that was never added succeeds"},
	{Name: "check-reorders-record", Cases: []string{"CHECK-07"}, Daemon: checkReordersRecord,
		Fault: "CHECK changes the order of the attachments in the container's record"},
	{Name: "check-deletes-failed", Cases: []string{"CHECK-07"}, Daemon: checkDeletesFailed,
		Fault: "a CHECK that fails deletes the sandbox"},
	{Name: "check-forgets-at-restart", Cases: []string{"CHECK-07"}, Daemon: checkForgetsAtRestart,
		Fault: "CHECK knows only the containers that were added since the start"},
}

// onCheckError changes the error of a CHECK.
func onCheckError(f func(error) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
			if err := next.Check(ctx, r); err != nil {
				return f(err)
			}
			return nil
		})
	}
}

func checkLastFailure(a *seam.Assembly) {
	var last sync.Map
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if p.Command() == "CHECK" && err != nil {
			last.Store(p.Get("CNI_CONTAINERID"), err)
			return nil, nil
		}
		return out, err
	})
	a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		err := next.Check(ctx, r)
		if failure, failed := last.LoadAndDelete(r.ContainerID); failed {
			return failure.(error)
		}
		return err
	})
}

// checkInSpite checks the networks that the engine passes over.
func checkInSpite(which func(list *libcni.NetworkConfigList) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			if err := next.Check(ctx, r); err != nil {
				return err
			}
			rec, err := o.Ledger.Load(r.ContainerID)
			if err != nil {
				return err
			}
			for _, at := range rec.Attachments {
				list, err := libcni.NetworkConfFromBytes([]byte(at.Config))
				if err != nil || !which(list) {
					continue
				}
				if err := seam.CniOf(o).CheckNetworkList(ctx, list, seam.RuntimeOf(rec, &at)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func checkOldVersionsFail(a *seam.Assembly) {
	a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		rec, err := o.Ledger.Load(r.ContainerID)
		for i := 0; err == nil && i < len(rec.Attachments); i++ {
			list, failed := libcni.NetworkConfFromBytes([]byte(rec.Attachments[i].Config))
			if failed != nil {
				continue
			}
			if known, _ := version.GreaterThanOrEqualTo(list.CNIVersion, "0.4.0"); !known {
				return types.NewError(types.ErrIncompatibleCNIVersion, "network "+list.Name+" does not support CHECK", "")
			}
		}
		return next.Check(ctx, r)
	})
}

func checkUnknownSucceeds(a *seam.Assembly) {
	a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		if _, err := o.Ledger.Load(r.ContainerID); errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		return next.Check(ctx, r)
	})
}

func checkReordersRecord(a *seam.Assembly) {
	a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		rec, err := o.Ledger.Load(r.ContainerID)
		checked := next.Check(ctx, r)
		if err == nil && checked == nil {
			slices.Reverse(rec.Attachments)
			err = o.Ledger.Save(rec)
		}
		return errors.Join(err, checked)
	})
}

func checkDeletesFailed(a *seam.Assembly) {
	a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		err := next.Check(ctx, r)
		if err != nil {
			_ = next.Del(ctx, r)
		}
		return err
	})
}

func checkForgetsAtRestart(a *seam.Assembly) {
	var since sync.Map
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnBegin = func(rec *ledger.Record) error {
			since.Store(rec.ContainerID, true)
			return next.Begin(rec)
		}
	})
	a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		if _, known := since.Load(r.ContainerID); !known {
			return types.NewError(types.ErrUnknownContainer, "container "+r.ContainerID+" is unknown", "")
		}
		return next.Check(ctx, r)
	})
}
