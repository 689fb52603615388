// SPDX-License-Identifier: Apache-2.0

package add

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile add: what is attached, in which order, and what is answered.
var mutants = []mutant.Mutant{
	{Name: "add-default-last", Cases: []string{"ADD-01"}, Daemon: seam.OnPlan(defaultLast),
		Fault: "the default network is attached last"},
	{Name: "add-sorted", Cases: []string{"ADD-01"}, Daemon: seam.OnPlan(sortedByName),
		Fault: "further networks are attached in the order of their names"},
	{Name: "add-numbers-without-gaps", Cases: []string{"ADD-01"}, Daemon: seam.OnPlan(numberedWithoutGaps),
		Fault: "interfaces are numbered without counting those with a requested name"},
	{Name: "add-requested-name-ignored", Cases: []string{"ADD-01"}, Daemon: seam.OnPlan(requestedNameIgnored),
		Fault: "a requested interface name is ignored"},
	{Name: "add-result-of-last", Cases: []string{"ADD-02"}, Daemon: onResults(resultOfLast),
		Fault: "the last network's result is answered"},
	{Name: "add-results-merged", Cases: []string{"ADD-02"}, Daemon: onResults(resultsMerged),
		Fault: "the addresses of all networks are answered in one result"},
	{Name: "add-duplicate-names", Cases: []string{"ADD-07"}, Daemon: duplicateNames,
		Fault: "two attachments of one pod may have the same interface name"},
	{Name: "add-over-present-interface", Cases: []string{"ADD-07"}, Daemon: overPresentInterface,
		Fault: "whether the namespace has an interface of the name already is left to the delegates"},
	{Name: "add-again-is-success", Cases: []string{"ADD-11"}, Daemon: againIsSuccess,
		Fault: "a second ADD answers the first one's result"},
	{Name: "add-again-rolls-back", Cases: []string{"ADD-11"}, Daemon: againRollsBack,
		Fault: "a second ADD fails and rolls the first one back"},
	{Name: "add-netns-unchecked", Cases: []string{"ADD-13"}, Daemon: netnsUnchecked,
		Fault: "whether the network namespace exists is left to the delegates"},
	{Name: "add-netns-code-999", Cases: []string{"ADD-13"}, Daemon: seam.OnError(func(_ *seam.Answered, e map[string]any) {
		if msg, _ := e["msg"].(string); strings.HasPrefix(msg, "CNI_NETNS: ") {
			e["code"] = 999
		}
	}), Fault: "a namespace that does not exist gets the code of an internal error"},
}

func defaultLast(rec *ledger.Record) {
	rec.Attachments = append(rec.Attachments[1:], rec.Attachments[0])
}

func sortedByName(rec *ledger.Record) {
	slices.SortStableFunc(rec.Attachments[1:], func(a, b ledger.Attachment) int { return cmp.Compare(a.Definition, b.Definition) })
}

var numbered = regexp.MustCompile(`^net[0-9]+$`)

func numberedWithoutGaps(rec *ledger.Record) {
	next := 1
	for i := range rec.Attachments {
		if a := &rec.Attachments[i]; numbered.MatchString(a.Interface) {
			a.Interface = fmt.Sprintf("net%d", next)
			next++
		}
	}
}

func requestedNameIgnored(rec *ledger.Record) {
	for i := range rec.Attachments[1:] {
		rec.Attachments[i+1].Interface = fmt.Sprintf("net%d", i+1)
	}
}

// onResults makes the answer of an ADD of the results of all attachments.
func onResults(f func(all []*types100.Result) *types100.Result) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		var saved sync.Map
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.OnSave = func(rec *ledger.Record) error {
				saved.Store(rec.ContainerID, slices.Clone(rec.Attachments))
				return next.Save(rec)
			}
		})
		a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
			h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
				first, err := next.Add(ctx, r)
				attachments, ok := saved.Load(r.ContainerID)
				if err != nil || !ok {
					return first, err
				}
				var all []*types100.Result
				for _, at := range attachments.([]ledger.Attachment) {
					var result types100.Result
					if err := json.Unmarshal(at.Result, &result); err != nil {
						return nil, err
					}
					all = append(all, &result)
				}
				return f(all), nil
			}
		})
	}
}

func resultOfLast(all []*types100.Result) *types100.Result { return all[len(all)-1] }

func resultsMerged(all []*types100.Result) *types100.Result {
	for _, r := range all[1:] {
		all[0].IPs = append(all[0].IPs, r.IPs...)
	}
	return all[0]
}

var requested = regexp.MustCompile(`@([a-z0-9]+)`)

// duplicateNames shows the planner another name for the second of two equal
// ones.
func duplicateNames(a *seam.Assembly) {
	a.OnPod(func(annotations map[string]string) {
		const key = "k8s.v1.cni.cncf.io/networks"
		seen := map[string]bool{"@eth0": true}
		annotations[key] = requested.ReplaceAllStringFunc(annotations[key], func(name string) string {
			if seen[name] {
				return name + seam.Disguise
			}
			seen[name] = true
			return name
		})
	})
	seam.OnPlan(undisguise)(a)
	interfaceNamed(a)
}

// interfaceNamed has the error of a delegate name the interface.
func interfaceNamed(a *seam.Assembly) {
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		var own *types.Error
		if errors.As(err, &own) {
			own.Msg += " (" + p.Get("CNI_IFNAME") + ")"
		}
		return out, err
	})
}

func undisguise(rec *ledger.Record) {
	rec.Interface = strings.TrimSuffix(rec.Interface, seam.Disguise)
	for i := range rec.Attachments {
		rec.Attachments[i].Interface = strings.TrimSuffix(rec.Attachments[i].Interface, seam.Disguise)
	}
}

// overPresentInterface shows the real check another name for the default
// network's interface.
func overPresentInterface(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			disguised := *r
			disguised.Interface += seam.Disguise
			return next.Add(ctx, &disguised)
		}
	})
	seam.OnPlan(undisguise)(a)
	interfaceNamed(a)
}

// netnsUnchecked shows the real check another namespace.
func netnsUnchecked(a *seam.Assembly) {
	var asked sync.Map
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			disguised := *r
			disguised.Netns = "/proc/self/ns/net"
			asked.Store(r.ContainerID, r.Netns)
			return next.Add(ctx, &disguised)
		}
	})
	seam.OnPlan(func(rec *ledger.Record) {
		if path, ok := asked.Load(rec.ContainerID); ok {
			rec.Netns = path.(string)
		}
	})(a)
}

// onAgain replaces the ADD of a container that is attached already.
func onAgain(f func(ctx context.Context, r *attach.Request, rec *ledger.Record, next daemon.Engine) (*types100.Result, error)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
			h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
				if rec, err := o.Ledger.Load(r.ContainerID); err == nil && rec.State == ledger.StateAdded {
					return f(ctx, r, rec, next)
				}
				return next.Add(ctx, r)
			}
		})
	}
}

func againIsSuccess(a *seam.Assembly) {
	onAgain(func(_ context.Context, _ *attach.Request, rec *ledger.Record, _ daemon.Engine) (*types100.Result, error) {
		var result types100.Result
		return &result, json.Unmarshal(rec.Attachments[0].Result, &result)
	})(a)
}

func againRollsBack(a *seam.Assembly) {
	onAgain(func(ctx context.Context, r *attach.Request, _ *ledger.Record, next daemon.Engine) (*types100.Result, error) {
		_, err := next.Add(ctx, r)
		return nil, cmp.Or(err, next.Del(ctx, r))
	})(a)
}
