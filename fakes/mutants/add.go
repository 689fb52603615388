// SPDX-License-Identifier: Apache-2.0

package main

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

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile add: what is attached, in which order, and what is answered.
func init() {
	register(
		mutant{name: "add-default-last", cases: []string{"ADD-01"}, daemon: onPlan(defaultLast),
			fault: "the default network is attached last"},
		mutant{name: "add-sorted", cases: []string{"ADD-01"}, daemon: onPlan(sortedByName),
			fault: "further networks are attached in the order of their names"},
		mutant{name: "add-numbers-without-gaps", cases: []string{"ADD-01"}, daemon: onPlan(numberedWithoutGaps),
			fault: "interfaces are numbered without counting those with a requested name"},
		mutant{name: "add-requested-name-ignored", cases: []string{"ADD-01"}, daemon: onPlan(requestedNameIgnored),
			fault: "a requested interface name is ignored"},
		mutant{name: "add-result-of-last", cases: []string{"ADD-02"}, daemon: onResults(resultOfLast),
			fault: "the last network's result is answered"},
		mutant{name: "add-results-merged", cases: []string{"ADD-02"}, daemon: onResults(resultsMerged),
			fault: "the addresses of all networks are answered in one result"},
		mutant{name: "add-duplicate-names", cases: []string{"ADD-07"}, daemon: duplicateNames,
			fault: "two attachments of one pod may have the same interface name"},
		mutant{name: "add-over-present-interface", cases: []string{"ADD-07"}, daemon: overPresentInterface,
			fault: "whether the namespace has an interface of the name already is left to the delegates"},
		mutant{name: "add-again-is-success", cases: []string{"ADD-11"}, daemon: againIsSuccess,
			fault: "a second ADD answers the first one's result"},
		mutant{name: "add-again-rolls-back", cases: []string{"ADD-11"}, daemon: againRollsBack,
			fault: "a second ADD fails and rolls the first one back"},
		mutant{name: "add-netns-unchecked", cases: []string{"ADD-13"}, daemon: netnsUnchecked,
			fault: "whether the network namespace exists is left to the delegates"},
		mutant{name: "add-netns-code-999", cases: []string{"ADD-13"}, daemon: onError(func(_ *answered, e map[string]any) {
			if msg, _ := e["msg"].(string); strings.HasPrefix(msg, "CNI_NETNS: ") {
				e["code"] = 999
			}
		}), fault: "a namespace that does not exist gets the code of an internal error"},
	)
}

// onPlan changes a sandbox's attachments just before the first delegate runs.
func onPlan(f func(rec *ledger.Record)) func(*assembly) {
	return func(a *assembly) {
		a.onRecords(func(r *records, next attach.Ledger) {
			r.begin = func(rec *ledger.Record) error {
				if rec.State == ledger.StateAdding {
					f(rec)
				}
				return next.Begin(rec)
			}
		})
	}
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
func onResults(f func(all []*types100.Result) *types100.Result) func(*assembly) {
	return func(a *assembly) {
		var saved sync.Map
		a.onRecords(func(r *records, next attach.Ledger) {
			r.save = func(rec *ledger.Record) error {
				saved.Store(rec.ContainerID, slices.Clone(rec.Attachments))
				return next.Save(rec)
			}
		})
		a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
			h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
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

// disguise is what a name gets that the real checks must not see.
const disguise = "x9"

var requested = regexp.MustCompile(`@([a-z0-9]+)`)

// duplicateNames shows the planner another name for the second of two equal
// ones.
func duplicateNames(a *assembly) {
	a.onPod(func(annotations map[string]string) {
		const key = "k8s.v1.cni.cncf.io/networks"
		seen := map[string]bool{"@eth0": true}
		annotations[key] = requested.ReplaceAllStringFunc(annotations[key], func(name string) string {
			if seen[name] {
				return name + disguise
			}
			seen[name] = true
			return name
		})
	})
	onPlan(undisguise)(a)
	interfaceNamed(a)
}

// interfaceNamed has the error of a delegate name the interface.
func interfaceNamed(a *assembly) {
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		var own *types.Error
		if errors.As(err, &own) {
			own.Msg += " (" + p.get("CNI_IFNAME") + ")"
		}
		return out, err
	})
}

func undisguise(rec *ledger.Record) {
	rec.Interface = strings.TrimSuffix(rec.Interface, disguise)
	for i := range rec.Attachments {
		rec.Attachments[i].Interface = strings.TrimSuffix(rec.Attachments[i].Interface, disguise)
	}
}

// overPresentInterface shows the real check another name for the default
// network's interface.
func overPresentInterface(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			disguised := *r
			disguised.Interface += disguise
			return next.Add(ctx, &disguised)
		}
	})
	onPlan(undisguise)(a)
	interfaceNamed(a)
}

// netnsUnchecked shows the real check another namespace.
func netnsUnchecked(a *assembly) {
	var asked sync.Map
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			disguised := *r
			disguised.Netns = "/proc/self/ns/net"
			asked.Store(r.ContainerID, r.Netns)
			return next.Add(ctx, &disguised)
		}
	})
	onPlan(func(rec *ledger.Record) {
		if path, ok := asked.Load(rec.ContainerID); ok {
			rec.Netns = path.(string)
		}
	})(a)
}

// onAgain replaces the ADD of a container that is attached already.
func onAgain(f func(ctx context.Context, r *attach.Request, rec *ledger.Record, next daemon.Engine) (*types100.Result, error)) func(*assembly) {
	return func(a *assembly) {
		a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
			h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
				if rec, err := o.Ledger.Load(r.ContainerID); err == nil && rec.State == ledger.StateAdded {
					return f(ctx, r, rec, next)
				}
				return next.Add(ctx, r)
			}
		})
	}
}

func againIsSuccess(a *assembly) {
	onAgain(func(_ context.Context, _ *attach.Request, rec *ledger.Record, _ daemon.Engine) (*types100.Result, error) {
		var result types100.Result
		return &result, json.Unmarshal(rec.Attachments[0].Result, &result)
	})(a)
}

func againRollsBack(a *assembly) {
	onAgain(func(ctx context.Context, r *attach.Request, _ *ledger.Record, next daemon.Engine) (*types100.Result, error) {
		_, err := next.Add(ctx, r)
		return nil, cmp.Or(err, next.Del(ctx, r))
	})(a)
}
