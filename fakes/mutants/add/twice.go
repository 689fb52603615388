// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profile add: containers that are attached under two interface names.
var twiceMutants = []mutant.Mutant{
	{Name: "del-of-any-interface", Cases: []string{"ADD-17"}, Daemon: func(a *seam.Assembly) {
		a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			return forEach(interfacesOf(o, r), r, func(r *attach.Request) error { return next.Del(ctx, r) })
		})
	}, Fault: "DEL deletes all that a container has, whatever interface it is asked for"},
	{Name: "check-of-any-interface", Cases: []string{"ADD-17"}, Daemon: func(a *seam.Assembly) {
		a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			return forEach(interfacesOf(o, r), r, func(r *attach.Request) error { return next.Check(ctx, r) })
		})
	}, Fault: "CHECK checks all that a container has, whatever interface it is asked for"},
	{Name: "gc-by-container-alone", Cases: []string{"ADD-17"}, Daemon: func(a *seam.Assembly) {
		a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			return next.GC(ctx, withAllInterfaces(o, r))
		})
	}, Fault: "GC keeps all of a container of which the runtime names one attachment"},
	{Name: "add-once-per-container", Cases: []string{"ADD-17"}, Daemon: func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
			h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
				if rec, err := o.Ledger.Load(r.ContainerID); err == nil && rec.Interface != r.Interface {
					return nil, types.NewError(types.ErrInternal, "the container is attached already", "")
				}
				return next.Add(ctx, r)
			}
		})
	}, Fault: "a container can be attached under one interface name only"},
}

// interfacesOf are the names that a container was added under.
func interfacesOf(o attach.Options, r *attach.Request) []string {
	rec, err := o.Ledger.Load(r.ContainerID)
	if err != nil {
		return []string{r.Interface}
	}
	names := []string{rec.Interface}
	for _, a := range rec.Attachments {
		if a.Of != "" {
			names = append(names, a.Of)
		}
	}
	return names
}

func forEach(names []string, r *attach.Request, f func(r *attach.Request) error) error {
	var failures []error
	for _, name := range names {
		of := *r
		of.Interface = name
		failures = append(failures, f(&of))
	}
	return errors.Join(failures...)
}

// withAllInterfaces names, for each container of a GC, all that it has.
func withAllInterfaces(o attach.Options, r *attach.Request) *attach.Request {
	valid := []types.GCAttachment{}
	for _, v := range seam.ValidOf(r.Config) {
		for _, name := range interfacesOf(o, &attach.Request{ContainerID: v.ContainerID, Interface: v.IfName}) {
			valid = append(valid, types.GCAttachment{ContainerID: v.ContainerID, IfName: name})
		}
	}
	var conf map[string]any
	if json.Unmarshal(r.Config, &conf) != nil {
		return r
	}
	conf[seam.ValidKey] = valid
	changed := *r
	changed.Config, _ = json.Marshal(conf)
	return &changed
}
