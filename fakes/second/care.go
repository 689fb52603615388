// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

// collect is GC: what the runtime does not name is deleted, and each network's
// delegates are told what is valid of it.
func (e *engine) collect(ctx context.Context, req *request) error {
	var given struct {
		Valid     []types.GCAttachment `json:"cni.dev/valid-attachments"`
		DisableGC bool                 `json:"disableGC"`
	}
	if err := json.Unmarshal(req.Config, &given); err != nil {
		return refuse(types.ErrDecodingFailure, "cni.dev/valid-attachments, or the configuration, is not what it has to be")
	}
	if given.DisableGC && !broken("gc-ignores-disable") {
		return nil
	}
	all, err := e.store.all()
	if err != nil {
		return err
	}
	isValid := func(r *record) bool {
		return slices.ContainsFunc(given.Valid, func(v types.GCAttachment) bool {
			return v.ContainerID == r.Container && (v.IfName == r.IfName || broken("gc-by-container"))
		})
	}
	var problems []error
	for _, r := range all {
		if !isValid(r) {
			problems = append(problems, e.deleteInvalid(ctx, r))
		}
	}
	if !broken("gc-without-delegates") {
		problems = append(problems, e.sweep(ctx, given.Valid, isValid)...)
	}
	return together(problems)
}

// together is one error with the first one's code and the texts of all.
func together(problems []error) error {
	problems = slices.DeleteFunc(problems, func(err error) bool { return err == nil })
	if len(problems) < 2 {
		return errors.Join(problems...)
	}
	return types.NewError(cniError(problems[0]).Code, errors.Join(problems...).Error(), "")
}

func (e *engine) deleteInvalid(ctx context.Context, r *record) error {
	unlock, err := e.lock(ctx, r.Container)
	if err != nil {
		return err
	}
	defer unlock()
	return e.delete(ctx, r, r.Netns)
}

// sweep has the delegates of every network that is known collect. Networks that
// share a CNI name share their valid attachments (SEC-13).
func (e *engine) sweep(ctx context.Context, named []types.GCAttachment, isValid func(*record) bool) (problems []error) {
	all, err := e.store.all()
	if err != nil {
		return []error{err}
	}
	var lists []json.RawMessage
	valid := map[string][]types.GCAttachment{}
	note := func(list json.RawMessage, attachments ...types.GCAttachment) {
		if !slices.ContainsFunc(lists, func(known json.RawMessage) bool { return bytes.Equal(known, list) }) {
			lists = append(lists, list)
		}
		for _, v := range attachments {
			if !slices.Contains(valid[nameOf(list)], v) {
				valid[nameOf(list)] = append(valid[nameOf(list)], v)
			}
		}
	}
	if first, err := e.plan.primary(); err == nil {
		if broken("gc-recorded-only") {
			named = nil
		}
		note(first.List, named...)
	}
	for _, r := range all {
		for _, a := range r.Networks {
			ifName := a.IfName
			if broken("gc-by-first-interface") {
				ifName = r.IfName
			}
			if note(a.List); isValid(r) {
				note(a.List, types.GCAttachment{ContainerID: r.Container, IfName: ifName})
			}
		}
	}
	for _, text := range lists {
		list, err := libcni.NetworkConfFromBytes(text)
		if err != nil {
			continue
		}
		if broken("gc-ignores-disable") {
			list.DisableGC = false
		}
		if err := e.sweeper.GCNetworkList(ctx, list, &libcni.GCArgs{ValidAttachments: valid[list.Name]}); err != nil {
			problems = append(problems, fmt.Errorf("GC of network %s: %w", list.Name, err))
			if broken("gc-stops-at-error") {
				return problems
			}
		}
	}
	return problems
}

const (
	carePeriod = 300 * time.Millisecond
	// retryAfter is how long what failed waits for its next attempt.
	retryAfter = 5 * time.Second
	// largestSpooled bounds a DEL of the spool, in bytes.
	largestSpooled = 1 << 20
)

// care does what nobody asks for: the spool's DELs, and what another boot left.
func (e *engine) care(ctx context.Context) {
	next := map[string]time.Time{}
	tick := time.NewTicker(carePeriod)
	defer tick.Stop()
	for {
		e.careOnce(ctx, next)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (e *engine) careOnce(ctx context.Context, next map[string]time.Time) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("panic in the background", "value", p)
		}
	}()
	attempt := func(what string, do func() error) {
		if ctx.Err() != nil || time.Now().Before(next[what]) {
			return
		}
		delete(next, what)
		if err := do(); err != nil {
			slog.Warn("to be tried again", "what", what, "why", err)
			next[what] = time.Now().Add(retryAfter)
		}
	}
	entries, err := os.ReadDir(e.conf.Spool)
	for _, entry := range entries {
		if err == nil && !strings.HasPrefix(entry.Name(), ".") {
			attempt(entry.Name(), func() error { return e.despool(ctx, filepath.Join(e.conf.Spool, entry.Name())) })
		}
	}
	all, err := e.store.all()
	if err != nil {
		return
	}
	for _, r := range all {
		if r.Boot != e.boot && !broken("ignores-reboot") || broken("unseen-is-gone") && namespaceOf(r.Netns) == "" {
			attempt(r.key(), func() error { return e.deleteInvalid(ctx, r) })
		}
	}
}

// despool carries out one DEL that a shim left, and forgets it when it is done.
// What is not such a DEL is set aside, one file for all that are damaged.
func (e *engine) despool(ctx context.Context, path string) error {
	data, err := readRegular(path, largestSpooled)
	var req request
	if err == nil {
		err = json.Unmarshal(data, &req)
	}
	if err == nil {
		err = req.validate()
	}
	if err != nil || req.Env["CNI_COMMAND"] != "DEL" {
		slog.Error("not a DEL that waits, set aside", "file", path, "why", err)
		return os.Rename(path, filepath.Join(filepath.Dir(path), ".damaged"))
	}
	if broken("spool-forgets-first") {
		_ = os.Remove(path)
	}
	if _, err := e.carryOut(ctx, false, &req); err != nil {
		return err
	}
	slog.Info("a DEL that waited is done", "container", req.Env["CNI_CONTAINERID"])
	if broken("spool-never-forgets") {
		return nil
	}
	return os.Remove(path)
}
