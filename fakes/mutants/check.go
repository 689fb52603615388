// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile check.
func init() {
	register(
		mutant{name: "check-default-only", cases: []string{"CHECK-01"}, daemon: swallowed(func(p *plugin) bool {
			return p.command() == "CHECK" && p.request != nil && p.get("CNI_IFNAME") != p.request.Interface
		}), fault: "CHECK checks the default network only"},
		mutant{name: "check-prev-result-missing", cases: []string{"CHECK-02"}, daemon: onConf("CHECK", dropPrevResult),
			fault: "delegates get no prevResult at CHECK"},
		mutant{name: "check-runtime-config-missing", cases: []string{"CHECK-02"}, daemon: onConf("CHECK", func(_ *plugin, conf map[string]any) { delete(conf, "runtimeConfig") }),
			fault: "delegates get no runtimeConfig at CHECK"},
		mutant{name: "check-config-of-now", cases: []string{"CHECK-02"}, daemon: configOfNow("CHECK"),
			fault: "CHECK uses the network definitions as they are now"},
		mutant{name: "check-last-failure", cases: []string{"CHECK-03"}, daemon: checkLastFailure,
			fault: "the last failure of a CHECK is returned"},
		mutant{name: "check-code-lost", cases: []string{"CHECK-03"}, daemon: onCheckError(func(err error) error { return errors.New(err.Error()) }),
			fault: "a failing CHECK has the code of an internal error"},
		mutant{name: "check-always-succeeds", cases: []string{"CHECK-03", "CHECK-04"}, daemon: onCheckError(func(error) error { return nil }),
			fault: "CHECK succeeds whatever the delegates say"},
		mutant{name: "check-not-passed-on", cases: []string{"CHECK-01", "CHECK-04"}, daemon: swallowed(func(p *plugin) bool { return p.command() == "CHECK" }),
			fault: "CHECK looks at the ledger only and runs no delegate"},
		mutant{name: "check-disable-ignored", cases: []string{"CHECK-05"}, daemon: checkInSpite(func(list *libcni.NetworkConfigList) bool {
			disabled := list.DisableCheck
			list.DisableCheck = false
			return disabled
		}), fault: "disableCheck is ignored"},
		mutant{name: "check-old-versions", cases: []string{"CHECK-05"}, daemon: checkInSpite(func(list *libcni.NetworkConfigList) bool {
			known, err := version.GreaterThanOrEqualTo(list.CNIVersion, "0.4.0")
			list.CNIVersion = "0.4.0"
			return err == nil && !known
		}), fault: "networks below 0.4.0 are checked"},
		mutant{name: "check-old-versions-fail", cases: []string{"CHECK-05"}, daemon: checkOldVersionsFail,
			fault: "CHECK fails for a network below 0.4.0"},
		mutant{name: "check-unknown-succeeds", cases: []string{"CHECK-06"}, daemon: checkUnknownSucceeds,
			fault: "CHECK of a container that was never added succeeds"},
		mutant{name: "check-touches-record", cases: []string{"CHECK-07"}, daemon: checkTouchesRecord,
			fault: "CHECK writes the container's record"},
		mutant{name: "check-deletes-failed", cases: []string{"CHECK-07"}, daemon: checkDeletesFailed,
			fault: "a CHECK that fails deletes the sandbox"},
		mutant{name: "check-forgets-at-restart", cases: []string{"CHECK-07"}, daemon: checkForgetsAtRestart,
			fault: "CHECK knows only the containers that were added since the start"},
	)
}

// swallowed has some executions of plugins succeed without taking place.
func swallowed(which func(p *plugin) bool) func(*assembly) {
	return func(a *assembly) {
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			if which(p) {
				return nil, nil
			}
			return run(ctx, p)
		})
	}
}

// onCheck replaces CHECK.
func (a *assembly) onCheck(f func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.check = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next, o) }
	})
}

// onCheckError changes the error of a CHECK.
func onCheckError(f func(error) error) func(*assembly) {
	return func(a *assembly) {
		a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
			if err := next.Check(ctx, r); err != nil {
				return f(err)
			}
			return nil
		})
	}
}

func checkLastFailure(a *assembly) {
	var last sync.Map
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if p.command() == "CHECK" && err != nil {
			last.Store(p.get("CNI_CONTAINERID"), err)
			return nil, nil
		}
		return out, err
	})
	a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		err := next.Check(ctx, r)
		if failure, failed := last.LoadAndDelete(r.ContainerID); failed {
			return failure.(error)
		}
		return err
	})
}

// runtimeOf is one attachment of a sandbox, as libcni wants to be told of it.
func runtimeOf(rec *ledger.Record, at *ledger.Attachment) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: rec.ContainerID, NetNS: rec.Netns, IfName: at.Interface, Args: rec.Args}
}

// cniOf is libcni as the engine uses it.
func cniOf(o attach.Options) *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(o.BinDirs, o.CacheDir, o.Exec)
}

// checkInSpite checks the networks that the engine passes over.
func checkInSpite(which func(list *libcni.NetworkConfigList) bool) func(*assembly) {
	return func(a *assembly) {
		a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
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
				if err := cniOf(o).CheckNetworkList(ctx, list, runtimeOf(rec, &at)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func checkOldVersionsFail(a *assembly) {
	a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
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

func checkUnknownSucceeds(a *assembly) {
	a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		if _, err := o.Ledger.Load(r.ContainerID); errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		return next.Check(ctx, r)
	})
}

func checkTouchesRecord(a *assembly) {
	a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		rec, err := o.Ledger.Load(r.ContainerID)
		if err == nil {
			err = o.Ledger.Save(rec)
		}
		return errors.Join(err, next.Check(ctx, r))
	})
}

func checkDeletesFailed(a *assembly) {
	a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		err := next.Check(ctx, r)
		if err != nil {
			_ = next.Del(ctx, r)
		}
		return err
	})
}

func checkForgetsAtRestart(a *assembly) {
	var since sync.Map
	a.onRecords(func(r *records, next attach.Ledger) {
		r.begin = func(rec *ledger.Record) error {
			since.Store(rec.ContainerID, true)
			return next.Begin(rec)
		}
	})
	a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		if _, known := since.Load(r.ContainerID); !known {
			return types.NewError(types.ErrUnknownContainer, "container "+r.ContainerID+" is unknown", "")
		}
		return next.Check(ctx, r)
	})
}
