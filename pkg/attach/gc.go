// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// GC deletes the attachments of containers that the runtime no longer has,
// and then lets the delegates of every network clean up for themselves (CNI
// spec, section 2, GC). The runtime knows a sandbox by its default network's
// interface alone; a sandbox that it names keeps all its attachments (GC-01).
// An error does not stop the rest; all of them are reported (GC-03).
func (e *Engine) GC(ctx context.Context, r *Request) error {
	var conf struct {
		DisableGC bool                 `json:"disableGC"`
		Valid     []types.GCAttachment `json:"cni.dev/valid-attachments"`
	}
	if err := json.Unmarshal(r.Config, &conf); err != nil {
		return types.NewError(types.ErrDecodingFailure, "cni.dev/valid-attachments: "+err.Error(), "")
	}
	if conf.DisableGC {
		return nil
	}
	valid := map[types.GCAttachment]bool{}
	for _, v := range conf.Valid {
		valid[v] = true
	}
	ids, err := e.containers()
	if err != nil {
		return types.NewError(types.ErrTryAgainLater, "the ledger cannot be read", err.Error())
	}
	networks := e.newNetworks(ctx)
	var failures []error
	for _, id := range ids {
		if err := e.gcContainer(ctx, id, valid, networks); err != nil {
			failures = append(failures, err)
		}
	}
	failures = append(failures, e.gcNetworks(ctx, networks)...)
	return joined(failures)
}

// gcContainer deletes one sandbox unless it is valid, and notes the networks
// that it was on.
func (e *Engine) gcContainer(ctx context.Context, id string, valid map[types.GCAttachment]bool, n *networks) error {
	if e.locks.busy(id) {
		// An ADD that runs beside GC: the runtime cannot list it yet.
		return n.noteID(e, id)
	}
	release, err := e.locks.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	rec, err := e.load(id, "")
	if err != nil {
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		return err
	}
	n.note(rec, true)
	if valid[types.GCAttachment{ContainerID: id, IfName: rec.Interface}] {
		return nil
	}
	e.log.Info("GC deletes a container that the runtime does not name", "sandbox", id)
	if err := e.forget(context.WithoutCancel(ctx), rec, rec.Netns); err != nil {
		return fmt.Errorf("container %s: %w", id, err)
	}
	n.note(rec, false)
	return nil
}

// networks collects, by network name, a configuration to run GC with and the
// attachments that stay valid under their own interface names (GC-02).
type networks struct {
	order []string
	lists map[string]string
	valid map[string]map[types.GCAttachment]bool
}

func (e *Engine) newNetworks(ctx context.Context) *networks {
	n := &networks{lists: map[string]string{}, valid: map[string]map[types.GCAttachment]bool{}}
	if d, err := e.planner.Default(ctx, "eth0", nil); err == nil {
		n.add(d.Network, string(d.Config))
	} else {
		e.log.Warn("GC without the default network's delegates", "error", err)
	}
	return n
}

func (n *networks) add(name, config string) {
	if _, known := n.lists[name]; !known {
		n.order = append(n.order, name)
		n.valid[name] = map[types.GCAttachment]bool{}
	}
	n.lists[name] = config
}

func (n *networks) noteID(e *Engine, id string) error {
	rec, err := e.load(id, "")
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err == nil {
		n.note(rec, true)
	}
	return err
}

func (n *networks) note(rec *ledger.Record, stays bool) {
	for _, a := range rec.Attachments {
		n.add(a.Network, a.Config)
		at := types.GCAttachment{ContainerID: rec.ContainerID, IfName: a.Interface}
		if stays {
			n.valid[a.Network][at] = true
		} else {
			delete(n.valid[a.Network], at)
		}
	}
}

func (e *Engine) gcNetworks(ctx context.Context, n *networks) []error {
	var failures []error
	for _, name := range n.order {
		list, err := libcni.NetworkConfFromBytes([]byte(n.lists[name]))
		if err != nil {
			failures = append(failures, fmt.Errorf("network %q: %w", name, err))
			continue
		}
		args := &libcni.GCArgs{}
		for at := range n.valid[name] {
			args.ValidAttachments = append(args.ValidAttachments, at)
		}
		if err := e.cni.GCNetworkList(ctx, list, args); err != nil {
			failures = append(failures, fmt.Errorf("network %q: %w", name, err))
		}
	}
	return failures
}

// joined reports every failure in one CNI error with the first one's code.
func joined(failures []error) error {
	if len(failures) == 0 {
		return nil
	}
	code := types.ErrInternal
	var own *types.Error
	if errors.As(failures[0], &own) {
		code = own.Code
	}
	return types.NewError(code, "GC is incomplete: "+failures[0].Error(), errors.Join(failures...).Error())
}
