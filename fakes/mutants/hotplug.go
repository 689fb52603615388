// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile hotplug: one attachment by itself.
func init() {
	register(
		mutant{name: "hot-attributes-ignored", cases: []string{"HOT-01"}, daemon: onHotAdd(func(ctx context.Context, r *attach.Request, _ *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
			return next.HotAdd(ctx, r, nil)
		}), fault: "interfaceAttributes do not reach the delegate"},
		mutant{name: "hot-mac-lost", cases: []string{"HOT-01"}, daemon: onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
			if sel != nil {
				sel.MacRequest = ""
			}
			return next.HotAdd(ctx, r, sel)
		}), fault: "of interfaceAttributes the hardware address is forgotten"},
		mutant{name: "hot-result-of-sandbox", cases: []string{"HOT-01"}, daemon: onHotAdd(hotResultOfSandbox),
			fault: "a hot-plug answers the default network's result"},
		mutant{name: "hot-taken-replaced", cases: []string{"HOT-05"}, daemon: onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
			if err := next.HotDel(ctx, r); err != nil {
				return nil, err
			}
			return next.HotAdd(ctx, r, sel)
		}), fault: "a hot-plug under a name that is taken deletes what has it"},
		mutant{name: "hot-any-sandbox", cases: []string{"HOT-05"}, daemon: onHotAdd(hotAnySandbox),
			fault: "a sandbox that was never added can be hot-plugged"},
		mutant{name: "hot-any-pod", cases: []string{"HOT-05"}, daemon: onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error) {
			if rec, err := o.Ledger.Load(r.ContainerID); err == nil {
				changed := *r
				changed.Pod = rec.Pod
				r = &changed
			}
			return next.HotAdd(ctx, r, sel)
		}), fault: "whose pod a hot-plug says the sandbox is does not matter"},
		mutant{name: "hot-failure-ends-sandbox", cases: []string{"HOT-08"}, daemon: onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
			result, err := next.HotAdd(ctx, r, sel)
			if err != nil {
				err = errors.Join(err, next.Del(ctx, r))
			}
			return result, err
		}), fault: "a hot-plug that fails deletes the whole sandbox"},
		mutant{name: "hot-no-rollback", cases: []string{"HOT-08"}, daemon: swallowed(func(p *plugin) bool { return p.rollback() && hotInterface(p) }),
			fault: "a hot-plug that fails is not rolled back"},
		mutant{name: "hot-del-all", cases: []string{"HOT-02"}, daemon: onHotDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			return errors.Join(unplugAll(ctx, r, next, o), next.HotDel(ctx, r))
		}), fault: "a hot-plug DEL removes all that was hot-plugged"},
		mutant{name: "hot-del-swallowed", cases: []string{"HOT-02"}, daemon: onHotDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
			_ = next.HotDel(ctx, r)
			return nil
		}), fault: "a hot-plug DEL succeeds whatever the delegate says"},
		mutant{name: "hot-del-forgets", cases: []string{"HOT-02"}, daemon: onHotDel(hotDelForgets),
			fault: "a hot-plug DEL that fails is not tried again"},
		mutant{name: "hot-check-always-succeeds", cases: []string{"HOT-03"}, daemon: onHotCheck(func(context.Context, *attach.Request, daemon.Engine) error { return nil }),
			fault: "CHECK on /delegate does nothing"},
		mutant{name: "hot-check-of-sandbox", cases: []string{"HOT-03"}, daemon: onHotCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine) error { return next.Check(ctx, r) }),
			fault: "CHECK on /delegate checks the whole sandbox"},
		mutant{name: "hot-check-of-nothing-succeeds", cases: []string{"HOT-03"}, daemon: onHotCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine) error {
			err := next.HotCheck(ctx, r)
			var own *types.Error
			if errors.As(err, &own) && own.Code == types.ErrUnknownContainer {
				return nil
			}
			return err
		}), fault: "CHECK of what is not attached succeeds"},
		mutant{name: "hot-status-always-succeeds", cases: []string{"HOT-03"}, daemon: func(a *assembly) {
			a.wrapEngine(func(next daemon.Engine, _ attach.Options) daemon.Engine { return statusless{next} })
		}, fault: "STATUS on /delegate does nothing"},
	)
}

type hotAdder func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error)

// onHotAdd replaces the ADD of /delegate.
func onHotAdd(f hotAdder) func(*assembly) {
	return func(a *assembly) {
		a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
			h.hotAdd = func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
				return f(ctx, r, sel, next, o)
			}
		})
	}
}

// onHotDel replaces the DEL of /delegate.
func onHotDel(f func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error) func(*assembly) {
	return func(a *assembly) {
		a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
			h.hotDel = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next, o) }
		})
	}
}

// onHotCheck replaces the CHECK of /delegate.
func onHotCheck(f func(ctx context.Context, r *attach.Request, next daemon.Engine) error) func(*assembly) {
	return func(a *assembly) {
		a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
			h.hotCheck = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next) }
		})
	}
}

// statusless is an engine without the STATUS of /delegate.
type statusless struct{ daemon.Engine }

// HotStatus implements daemon.Engine.
func (statusless) HotStatus(context.Context, *attach.Request) error { return nil }

// hotInterface says whether a plugin works on what the cases hot-plug, by its
// name there.
func hotInterface(p *plugin) bool { return strings.HasPrefix(p.get("CNI_IFNAME"), "hot") }

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
	*lookups
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
