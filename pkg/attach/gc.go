// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// GC deletes the attachments of containers that the runtime no longer has,
// and then lets the delegates of every network clean up for themselves (CNI
// spec, section 2, GC). The runtime knows a sandbox by its default network's
// interface alone; a sandbox that it names keeps all its attachments (GC-01).
// An error does not stop the rest; all of them are reported (GC-03).
func (e *Engine) GC(ctx context.Context, r *Request) error {
	disabled, valid, err := readValid(r.Config)
	if err != nil || disabled {
		return err
	}
	// What begins from here on is known to the sweeps that start later.
	defer e.sweeps.open()()
	stale, failures := e.gcContainers(ctx, valid)
	e.ledger.SweepCache()
	networks := e.newNetworks(ctx, valid)
	if err := e.noteAll(networks, stale); err != nil {
		return types.NewError(types.ErrTryAgainLater, "the ledger cannot be read", errors.Join(append(failures, err)...).Error())
	}
	e.restrict(networks, valid)
	return joined(append(failures, e.gcNetworks(ctx, networks)...))
}

// readValid returns the attachments that the runtime names valid. The older key
// cni.dev/attachments, which libcni sends beside it, changes nothing (GC-06). A
// request without the key says nothing about any attachment, and so deletes none.
func readValid(config []byte) (disabled bool, valid map[types.GCAttachment]bool, err error) {
	var conf struct {
		DisableGC bool            `json:"disableGC"`
		Valid     json.RawMessage `json:"cni.dev/valid-attachments"`
	}
	var named []types.GCAttachment
	if err = json.Unmarshal(config, &conf); err == nil && len(conf.Valid) > 0 {
		err = json.Unmarshal(conf.Valid, &named)
	}
	switch {
	case err != nil:
		return false, nil, &InvalidRequest{types.NewError(types.ErrDecodingFailure, "cni.dev/valid-attachments: "+err.Error(), "")}
	case conf.DisableGC:
		return true, nil, nil
	case len(conf.Valid) == 0:
		return false, nil, &InvalidRequest{types.NewError(types.ErrInvalidNetworkConfig,
			"cni.dev/valid-attachments is missing; a runtime that has no attachment sends an empty list", "")}
	}
	valid = map[types.GCAttachment]bool{}
	for _, v := range named {
		valid[v] = true
	}
	return false, valid, nil
}

// gcContainers deletes the sandboxes that are not valid. It returns which those
// were, also where their deletion failed.
func (e *Engine) gcContainers(ctx context.Context, valid map[types.GCAttachment]bool) (stale map[string]bool, failures []error) {
	stale = map[string]bool{}
	ids, err := e.containers()
	if err != nil {
		return stale, []error{err}
	}
	for _, id := range ids {
		if e.locks.busy(id) {
			continue // an ADD that runs beside GC: the runtime cannot list it yet
		}
		deleted, err := e.gcContainer(ctx, id, valid)
		if err != nil {
			failures = append(failures, fmt.Errorf("container %s: %w", id, err))
		}
		stale[id] = deleted
	}
	for _, id := range e.ledger.Aside() {
		stale[id] = !named(valid, id)
	}
	return stale, failures
}

// gcContainer deletes one sandbox unless it is valid.
func (e *Engine) gcContainer(ctx context.Context, id string, valid map[types.GCAttachment]bool) (stale bool, err error) {
	release, err := e.lock(ctx, id)
	if err != nil {
		return false, err
	}
	defer release()
	ctx, done := e.turns.with(ctx)
	defer done()
	if err := e.takeTurn(ctx, id); err != nil {
		return false, err
	}
	rec, err := e.load(id, "")
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if damaged := new(ledger.DamagedError); errors.As(err, &damaged) {
		return !named(valid, id), nil // set aside and logged; its DEL falls back on the configuration
	}
	if err != nil {
		return false, err
	}
	return e.collect(context.WithoutCancel(ctx), rec, valid)
}

// named says whether the runtime names any attachment of a container.
func named(valid map[types.GCAttachment]bool, id string) bool {
	for v := range valid {
		if v.ContainerID == id {
			return true
		}
	}
	return false
}

// noteAll notes what every sandbox is attached to now. As long as the record of
// one that the runtime has is damaged, no delegate is told to clean up: that
// sandbox's attachments would be taken for nobody's. A disk that cannot be read
// fails GC for the same reason.
func (e *Engine) noteAll(n *networks, stale map[string]bool) error {
	ids, err := e.containers()
	if err != nil {
		return err
	}
	for _, id := range e.ledger.Aside() {
		if !stale[id] {
			e.log.Warn("GC deletes sandboxes only, and has no delegate clean up, because of a damaged record", "sandbox", id)
			n.order = nil
			return nil
		}
	}
	for _, id := range ids {
		rec, err := e.load(id, "")
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if damaged := new(ledger.DamagedError); errors.As(err, &damaged) && stale[id] {
			continue
		}
		if err != nil {
			return err
		}
		n.note(rec, !stale[id])
	}
	return nil
}

// restrict leaves the default network alone to be cleaned up as long as the
// runtime names a container that is not recorded: nobody can say which further
// attachments it has, and their delegates would take them for invalid (GC-05).
func (e *Engine) restrict(n *networks, valid map[types.GCAttachment]bool) {
	for v := range valid {
		if !n.recorded[v.ContainerID] {
			e.log.Warn("GC of further networks is put off: a container that the runtime names has no record", "sandbox", v.ContainerID)
			n.order = slices.DeleteFunc(n.order, func(key networkKey) bool { return key != n.first })
			return
		}
	}
}

// networks collects, by network name, the attachments that stay valid under
// their own interface names (GC-02), and the configurations to run GC with.
//
// A name may be that of several configurations: a tenant's definition can carry
// the default network's. Each is swept for itself, and with what is valid for
// any of them, because their plugins may keep their state by the name alone
// (SEC-13).
type networks struct {
	order []networkKey
	lists map[networkKey]string
	valid map[string]map[types.GCAttachment]bool
	// first is the default network.
	first networkKey
	// recorded are the containers that are known.
	recorded map[string]bool
}

// networkKey tells configurations of one name apart. A selection's cni-args
// make no other network of a definition.
type networkKey struct{ name, definition string }

// newNetworks begins with the default network, of which all attachments are
// valid that the runtime names, recorded or not (GC-05).
func (e *Engine) newNetworks(ctx context.Context, valid map[types.GCAttachment]bool) *networks {
	n := &networks{lists: map[networkKey]string{}, valid: map[string]map[types.GCAttachment]bool{}, recorded: map[string]bool{}}
	if d, err := e.planner.Default(ctx, "eth0", nil); err == nil {
		n.first = networkKey{d.Network, d.Definition}
		n.add(n.first, string(d.Config))
		maps.Copy(n.valid[d.Network], valid)
	} else {
		e.log.Warn("GC without the default network's delegates", "error", err)
	}
	return n
}

func (n *networks) add(key networkKey, config string) {
	if _, known := n.lists[key]; !known {
		n.order = append(n.order, key)
	}
	if n.valid[key.name] == nil {
		n.valid[key.name] = map[types.GCAttachment]bool{}
	}
	n.lists[key] = config
}

func (n *networks) note(rec *ledger.Record, stays bool) {
	n.recorded[rec.ContainerID] = true
	for _, a := range rec.Attachments {
		n.add(networkKey{a.Network, a.Definition}, a.Config)
		if stays {
			n.valid[a.Network][types.GCAttachment{ContainerID: rec.ContainerID, IfName: a.Interface}] = true
		}
	}
}

func (e *Engine) gcNetworks(ctx context.Context, n *networks) []error {
	var failures []error
	for _, key := range n.order {
		err := background.Try(e.log, "GC", func() error { return e.sweep(ctx, key.name, n.lists[key], n.valid[key.name]) })
		if err != nil {
			failures = append(failures, fmt.Errorf("network %q of %s: %w", key.name, key.definition, err))
		}
	}
	return failures
}

// sweep has the delegates of one configuration clean up.
func (e *Engine) sweep(ctx context.Context, name, config string, valid map[types.GCAttachment]bool) error {
	list, err := readList([]byte(config))
	if err != nil {
		return err
	}
	ctx, known, end, err := e.sweeps.start(ctx, name, valid)
	if err != nil {
		return err
	}
	defer end()
	return e.gcNetwork(ctx, list, slices.Collect(maps.Keys(known)))
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
