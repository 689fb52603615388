// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"
)

// engine carries out requests.
type engine struct {
	conf    *config
	store   *store
	cluster *cluster
	plan    *planner
	runner  *runner
	// cni has the cache of results; sweeper has none, so that libcni's GC deletes
	// nothing by itself.
	cni, sweeper *libcni.CNIConfig
	cache        string
	// boot is the kernel's id of this boot, host the daemon's own namespace, and
	// instance this daemon.
	boot, host, instance string

	mu    sync.Mutex
	locks map[string]*containerLock
	// deleted are the last attachments that were deleted: another DEL of them has
	// nothing to do.
	deleted []string
}

type containerLock struct {
	held  chan struct{}
	users int
}

func newEngine(c *config) (*engine, error) {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	e := &engine{conf: c, instance: rand.Text(), cluster: &cluster{c.Pods.Folder, map[string]*manifest{}}, locks: map[string]*containerLock{}, boot: strings.TrimSpace(string(boot)),
		host: namespaceOf("/proc/self/ns/net"), cache: filepath.Join(c.State, "libcni")}
	e.plan = &planner{conf: c, cluster: e.cluster, self: self}
	if e.store, err = openStore(c.State, c.Store); err != nil {
		return nil, err
	}
	e.runner = newRunner(c.Plugins, c.State, c.Limits.Delegate)
	e.cni = libcni.NewCNIConfigWithCacheDir([]string{c.Plugins}, e.cache, e.runner)
	e.sweeper = libcni.NewCNIConfigWithCacheDir([]string{c.Plugins}, filepath.Join(c.State, "none"), e.runner)
	e.succeed()
	if err := e.seen(); err != nil {
		slog.Error("not ready", "why", err)
	}
	return e, nil
}

// succeed ends what delegates of a daemon before this one left, if it is dead.
func (e *engine) succeed() {
	_ = unix.Setpgid(0, 0) // fails for the leader of a session, which is one already
	path := filepath.Join(e.conf.State, "process")
	if data, err := readRegular(path, 64); err == nil && !broken("leaves-strays") {
		if group, err := strconv.Atoi(string(data)); err == nil && unix.Kill(group, 0) != nil {
			endStrays(group)
			removeCgroups(e.runner.groups)
		}
	}
	if err := replaceFile(path, []byte(strconv.Itoa(unix.Getpgrp())), false); err != nil {
		slog.Warn("the process group is not recorded", "why", err)
	}
}

// seen reports the directory of a namespace that the daemon does not see.
func (e *engine) seen() error {
	all, err := e.store.all()
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Boot == e.boot && r.unseen() && !broken("unseen-is-gone") {
			return refuse(types.ErrTryAgainLater, "the network namespace %s is not in view: is %s mounted?", r.Netns, filepath.Dir(r.Netns))
		}
	}
	return nil
}

// ready says why an ADD cannot be served (READY-07).
func (e *engine) ready() error {
	if _, err := os.ReadDir(e.conf.Pods.Folder); err != nil {
		return refuse(types.ErrTryAgainLater, "the cluster's directory is away: %v", err)
	}
	first, err := e.plan.primary()
	if err != nil {
		return err
	}
	if err := e.plan.installed(first); err != nil {
		return err
	}
	return e.seen()
}

// lock keeps the requests of one container apart (ADD-10, HOT-11).
func (e *engine) lock(ctx context.Context, container string) (unlock func(), err error) {
	if broken("no-container-lock") {
		return func() {}, nil
	}
	e.mu.Lock()
	l := e.locks[container]
	if l == nil {
		l = &containerLock{held: make(chan struct{}, 1)}
		e.locks[container] = l
	}
	l.users++
	e.mu.Unlock()
	leave := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(e.locks, container)
		}
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// carryOut is one request; only an ADD has a result.
func (e *engine) carryOut(ctx context.Context, plug bool, req *request) (*types100.Result, error) {
	command := req.Env["CNI_COMMAND"]
	switch {
	case command == "STATUS":
		return nil, e.status(ctx, plug, req)
	case command == "GC" && plug:
		return nil, refuse(types.ErrInvalidEnvironmentVariables, "CNI_COMMAND GC is not for /delegate")
	case command == "GC":
		return nil, e.collect(ctx, req)
	}
	container := req.Env["CNI_CONTAINERID"]
	if !plug || !broken("plug-without-lock") {
		unlock, err := e.lock(ctx, container)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	records, err := e.store.of(req.Env["CNI_CONTAINERID"])
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		e.settle(ctx, r)
	}
	at := slices.IndexFunc(records, func(r *record) bool { return r.IfName == req.Env["CNI_IFNAME"] || broken("container-is-the-key") })
	switch {
	case plug:
		return e.plug(ctx, req, records)
	case command == "ADD":
		if at >= 0 {
			if records[at].Complete {
				return nil, refuse(types.ErrInternal, "interface %s of container %s is attached already", records[at].IfName, records[at].Container)
			}
			if err := e.delete(ctx, records[at], records[at].Netns); err != nil {
				return nil, err
			}
		}
		return e.add(ctx, req, records)
	case command == "DEL" && at >= 0:
		return nil, e.delete(ctx, records[at], req.Env["CNI_NETNS"])
	case command == "DEL":
		return nil, e.deleteUnrecorded(ctx, req)
	case at < 0 || !records[at].Complete:
		return nil, refuse(types.ErrUnknownContainer, "interface %s of container %s is not attached", req.Env["CNI_IFNAME"], req.Env["CNI_CONTAINERID"])
	}
	return nil, e.check(ctx, records[at], req.Env["CNI_NETNS"])
}
