// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/libcni"
)

// namespaceToUse is the path at which a record's networks are deleted, "" when
// another namespace is there, or none (DEL-11).
func (e *engine) namespaceToUse(r *record, path string) string {
	id := namespaceOf(path)
	if broken("any-namespace") {
		return path
	}
	if id == "" || id == e.host || r.Boot != e.boot || r.NetnsID != "" && id != r.NetnsID {
		return ""
	}
	return path
}

// delete deletes a record's networks, the last one first, and the record when
// all are gone. What fails stays for the next DEL.
func (e *engine) delete(ctx context.Context, r *record, path string) error {
	path = e.namespaceToUse(r, path)
	var failed []*attached
	var first error
	order := slices.Clone(r.Networks)
	if !broken("del-forwards") {
		slices.Reverse(order)
	}
	for _, a := range order {
		if first != nil && broken("del-stops-at-error") {
			failed = append(failed, a)
			continue
		}
		if err := e.detach(ctx, r, a, path); err != nil {
			slog.Warn("a network is not deleted", "container", r.Container, "network", a.Name, "interface", a.IfName, "why", err)
			failed = append(failed, a)
			if first == nil {
				first = err
			}
		}
	}
	if broken("swallows-del-errors") {
		first, failed = nil, nil
	}
	if unrecorded := r.NetnsID == "" && first != nil; unrecorded {
		return first
	}
	if first == nil || broken("forgets-failed-del") {
		if err := e.store.remove(r); err != nil {
			return err
		}
		e.noteDeleted(r.key())
		e.withdraw(r)
		return first
	}
	slices.Reverse(failed)
	r.Networks = failed
	if err := e.store.put(r, true); err != nil {
		slog.Warn("the record is not up to date", "container", r.Container, "why", err)
	}
	e.withdraw(r)
	return first
}

func (e *engine) detach(ctx context.Context, r *record, a *attached, path string) (err error) {
	defer recovered(&err)
	if broken("del-reads-the-plan-again") {
		if fresh, err := e.plan.primary(); err == nil && a.Default {
			a = &attached{Name: a.Name, IfName: a.IfName, List: fresh.List}
		}
	}
	list, err := libcni.NetworkConfFromBytes(a.List)
	if err != nil {
		return fmt.Errorf("network %s is unusable", a.Name)
	}
	e.guardCache(r, a)
	rt := r.runtimeConf(a, path)
	if broken("del-without-result") {
		_ = os.RemoveAll(filepath.Join(e.cache, "results"))
	}
	// Of one network libcni stops at the first plugin that fails, and the next DEL
	// asks all of them again (DEL-06).
	err = e.cni.DelNetworkList(ctx, list, rt)
	if err != nil {
		return fmt.Errorf("network %s: %w", a.Name, err)
	}
	return nil
}

func (e *engine) noteDeleted(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deleted = append(e.deleted, key)
	if len(e.deleted) > 4096 {
		e.deleted = slices.Clone(e.deleted[1024:])
	}
}

// deleteUnrecorded deletes what nobody here attached by what can be known of it:
// the default network, and the pod's annotations (DEL-10).
func (e *engine) deleteUnrecorded(ctx context.Context, req *request) error {
	r := &record{Container: req.Env["CNI_CONTAINERID"], IfName: req.Env["CNI_IFNAME"], Netns: req.Env["CNI_NETNS"], Boot: e.boot, Args: req.args()}
	r.Pod = podOf(r.Args)
	e.mu.Lock()
	known := slices.Contains(e.deleted, r.key())
	e.mu.Unlock()
	if known || broken("unrecorded-is-gone") {
		return nil
	}
	pod, err := e.cluster.pod(r.Pod)
	if err == nil {
		r.Networks, err = e.plan.networks(r, pod)
	}
	if err != nil {
		first, err := e.plan.primary()
		if err != nil {
			return nil //nolint:nilerr // there is nothing by which to delete, and DEL succeeds (DEL-02)
		}
		first.IfName = r.IfName
		r.Networks = []*attached{first}
	}
	r.giveRuntimeConfig(req.Config)
	all, err := e.store.all()
	if err != nil {
		return err
	}
	id := namespaceOf(r.Netns)
	if slices.ContainsFunc(all, func(o *record) bool { return o.NetnsID == id && o.Container != r.Container }) {
		r.Netns = ""
	}
	slog.Info("deleting what is not recorded", "container", r.Container, "networks", len(r.Networks))
	return e.delete(ctx, r, r.Netns)
}
