// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile hotplug: one attachment by itself.
var mutants = []mutant.Mutant{
	{Name: "hot-attributes-ignored", Cases: []string{"HOT-01"}, Daemon: onHotAdd(func(ctx context.Context, r *attach.Request, _ *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
		return next.HotAdd(ctx, r, nil)
	}), Fault: "interfaceAttributes do not reach the delegate"},
	{Name: "hot-mac-lost", Cases: []string{"HOT-01"}, Daemon: onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
		if sel != nil {
			sel.MacRequest = ""
		}
		return next.HotAdd(ctx, r, sel)
	}), Fault: "of interfaceAttributes the hardware address is forgotten"},
	{Name: "hot-result-of-sandbox", Cases: []string{"HOT-01"}, Daemon: onHotAdd(hotResultOfSandbox),
		Fault: "a hot-plug answers the default network's result"},
	{Name: "hot-taken-replaced", Cases: []string{"HOT-05"}, Daemon: onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
		if err := next.HotDel(ctx, r); err != nil {
			return nil, err
		}
		return next.HotAdd(ctx, r, sel)
	}), Fault: "a hot-plug under a name that is taken deletes what has it"},
	{Name: "hot-any-sandbox", Cases: []string{"HOT-05"}, Daemon: onHotAdd(hotAnySandbox),
		Fault: "a sandbox that was never added can be hot-plugged"},
	{Name: "hot-any-pod", Cases: []string{"HOT-05"}, Daemon: onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error) {
		if rec, err := o.Ledger.Load(r.ContainerID); err == nil {
			changed := *r
			changed.Pod = rec.Pod
			r = &changed
		}
		return next.HotAdd(ctx, r, sel)
	}), Fault: "whose pod a hot-plug says the sandbox is does not matter"},
	{Name: "hot-failure-ends-sandbox", Cases: []string{"HOT-08"}, Daemon: onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
		result, err := next.HotAdd(ctx, r, sel)
		if err != nil {
			sandbox := *r
			sandbox.Interface = "eth0"
			err = errors.Join(err, next.Del(ctx, &sandbox))
		}
		return result, err
	}), Fault: "a hot-plug that fails deletes the whole sandbox"},
	{Name: "hot-no-rollback", Cases: []string{"HOT-08"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool { return p.Rollback() && hotInterface(p) }),
		Fault: "a hot-plug that fails is not rolled back"},
	{Name: "hot-del-all", Cases: []string{"HOT-02"}, Daemon: onHotDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		return errors.Join(unplugAll(ctx, r, next, o), next.HotDel(ctx, r))
	}), Fault: "a hot-plug DEL removes all that was hot-plugged"},
	{Name: "hot-del-swallowed", Cases: []string{"HOT-02"}, Daemon: onHotDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		_ = next.HotDel(ctx, r)
		return nil
	}), Fault: "a hot-plug DEL succeeds whatever the delegate says"},
	{Name: "hot-del-forgets", Cases: []string{"HOT-02"}, Daemon: onHotDel(hotDelForgets),
		Fault: "a hot-plug DEL that fails is not tried again"},
	{Name: "hot-check-always-succeeds", Cases: []string{"HOT-03"}, Daemon: onHotCheck(func(context.Context, *attach.Request, daemon.Engine) error { return nil }),
		Fault: "CHECK on /delegate does nothing"},
	{Name: "hot-check-of-sandbox", Cases: []string{"HOT-03"}, Daemon: onHotCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine) error { return next.Check(ctx, r) }),
		Fault: "CHECK on /delegate checks the whole sandbox"},
	{Name: "hot-check-of-nothing-succeeds", Cases: []string{"HOT-03"}, Daemon: onHotCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine) error {
		err := next.HotCheck(ctx, r)
		var own *types.Error
		if errors.As(err, &own) && own.Code == types.ErrUnknownContainer {
			return nil
		}
		return err
	}), Fault: "CHECK of what is not attached succeeds"},
	{Name: "hot-status-always-succeeds", Cases: []string{"HOT-03"}, Daemon: func(a *seam.Assembly) {
		a.WrapEngine(func(next daemon.Engine, _ attach.Options) daemon.Engine { return statusless{next} })
	}, Fault: "STATUS on /delegate does nothing"},
}

type hotAdder func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error)

// onHotAdd replaces the ADD of /delegate.
func onHotAdd(f hotAdder) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
			h.OnHotAdd = func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
				return f(ctx, r, sel, next, o)
			}
		})
	}
}

// onHotDel replaces the DEL of /delegate.
func onHotDel(f func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
			h.OnHotDel = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next, o) }
		})
	}
}

// onHotCheck replaces the CHECK of /delegate.
func onHotCheck(f func(ctx context.Context, r *attach.Request, next daemon.Engine) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
			h.OnHotCheck = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next) }
		})
	}
}

// statusless is an engine without the STATUS of /delegate.
type statusless struct{ daemon.Engine }

// HotStatus implements daemon.Engine.
func (statusless) HotStatus(context.Context, *attach.Request) error { return nil }

// hotInterface says whether a plugin works on what the cases hot-plug, by its
// name there.
func hotInterface(p *seam.Plugin) bool { return strings.HasPrefix(p.Get("CNI_IFNAME"), "hot") }

func hotResultOfSandbox(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error) {
	if _, err := next.HotAdd(ctx, r, sel); err != nil {
		return nil, err
	}
	rec, err := o.Ledger.Load(r.ContainerID)
	if err != nil {
		return nil, err
	}
	var result types100.Result
	return &result, json.Unmarshal(rec.Attachments[0].Result, &result)
}

func hotAnySandbox(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error) {
	if _, err := o.Ledger.Load(r.ContainerID); errors.Is(err, ledger.ErrNotFound) {
		made := &ledger.Record{ContainerID: r.ContainerID, State: ledger.StateAdded, Pod: r.Pod, Netns: r.Netns, Interface: "eth0", Args: r.Args}
		if err := o.Ledger.Begin(made); err != nil {
			return nil, err
		}
	}
	return next.HotAdd(ctx, r, sel)
}

// unplugAll removes what is hot-plugged of a sandbox.
func unplugAll(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
	rec, err := o.Ledger.Load(r.ContainerID)
	if err != nil {
		return nil //nolint:nilerr // there is nothing to unplug
	}
	for _, at := range rec.Attachments {
		if at.HotPlugged {
			of := *r
			of.Interface, of.Netns, of.Pod = at.Interface, rec.Netns, rec.Pod
			err = errors.Join(err, next.HotDel(ctx, &of))
		}
	}
	return err
}

func hotDelForgets(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
	err := next.HotDel(ctx, r)
	rec, loadErr := o.Ledger.Load(r.ContainerID)
	if err == nil || loadErr != nil {
		return err
	}
	rec.Attachments = slices.DeleteFunc(rec.Attachments, func(at ledger.Attachment) bool { return at.Interface == r.Interface })
	return errors.Join(err, o.Ledger.Save(rec))
}

// silent is a cluster that publishes the first status of each pod only.
type silent struct {
	*seam.Lookups
	published map[string]bool
}

// PublishStatus implements cluster.Cluster.
func (s *silent) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	if s.published[pod.Name] {
		return nil
	}
	s.published[pod.Name] = true
	return s.Cluster.PublishStatus(ctx, pod, status)
}
