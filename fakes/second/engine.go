// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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

// runtimeConf is what libcni gets for a network of a record.
func (r *record) runtimeConf(a *attached, netns string) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: r.Container, NetNS: netns, IfName: a.IfName, Args: r.Args, CapabilityArgs: a.Capabilities}
}

// newRecord looks at the sandbox of an ADD.
func (e *engine) newRecord(req *request) (*record, error) {
	path := req.Env["CNI_NETNS"]
	r := &record{Container: req.Env["CNI_CONTAINERID"], IfName: req.Env["CNI_IFNAME"], Netns: path, NetnsID: namespaceOf(path), Folder: folderOf(path),
		Boot: e.boot, Args: req.args()}
	r.Pod = podOf(r.Args)
	if r.NetnsID == "" {
		return nil, refuse(types.ErrInvalidEnvironmentVariables, "CNI_NETNS: there is no network namespace at %s", path)
	}
	if r.NetnsID == e.host {
		return nil, refuse(types.ErrInvalidNetNS, "CNI_NETNS: %s is the host's own network namespace", path)
	}
	return r, nil
}

func (e *engine) add(ctx context.Context, req *request, others []*record) (*types100.Result, error) {
	r, err := e.newRecord(req)
	if err != nil {
		return nil, err
	}
	var pod *manifest
	if r.Pod.Name != "" {
		if pod, err = e.cluster.pod(r.Pod); err != nil {
			return nil, err
		}
	}
	if r.Networks, err = e.plan.networks(r, pod); err != nil {
		return nil, err
	}
	for _, a := range r.Networks {
		if err := e.plan.installed(a); err != nil {
			return nil, err
		}
	}
	r.giveRuntimeConfig(req.Config)
	if err := e.free(r, others, r.Networks); err != nil {
		return nil, err
	}
	bytes := 16 << 10
	for _, a := range r.Networks {
		bytes += 4 * len(a.List)
	}
	if err := e.store.reserve(bytes); err != nil {
		return nil, err
	}
	if err := e.store.put(r, false); err != nil {
		return nil, err
	}
	if err := e.attachAll(ctx, r); err != nil {
		return nil, err
	}
	e.publish(r)
	result := r.Networks[0].Result
	if broken("result-of-the-last") {
		result = r.Networks[len(r.Networks)-1].Result
	}
	answer := &types100.Result{}
	return answer, json.Unmarshal(result, answer)
}

// giveRuntimeConfig passes the runtime's on to the default network (NET-19).
func (r *record) giveRuntimeConfig(config []byte) {
	var given struct {
		RuntimeConfig map[string]any `json:"runtimeConfig"`
	}
	if json.Unmarshal(config, &given) != nil {
		return
	}
	for i, a := range r.Networks {
		if i > 0 && !broken("runtime-config-for-all") {
			return
		}
		if a.Capabilities == nil {
			a.Capabilities = map[string]any{}
		}
		for key, value := range given.RuntimeConfig {
			if _, asked := a.Capabilities[key]; !asked {
				a.Capabilities[key] = value
			}
		}
	}
}

// free refuses interface names that the sandbox has already (ADD-07).
func (e *engine) free(r *record, others []*record, networks []*attached) error {
	taken, err := interfacesIn(r.Netns)
	if err != nil {
		return fmt.Errorf("the namespace %s: %w", r.Netns, err)
	}
	for _, other := range others {
		for _, a := range other.Networks {
			taken[a.IfName] = true
		}
	}
	for _, a := range networks {
		if taken[a.IfName] && !broken("takes-taken-names") {
			return refuse(types.ErrInvalidNetworkConfig, "the sandbox has an interface %s already", a.IfName)
		}
	}
	return nil
}

// attachAll attaches a record's networks, or none of them.
func (e *engine) attachAll(ctx context.Context, r *record) error {
	for i, a := range r.Networks {
		if err := e.attach(ctx, r, a); err != nil {
			e.rollback(ctx, r, i+1)
			return err
		}
	}
	err := e.moveDefaultRoutes(r)
	if err == nil {
		err = ctx.Err()
	}
	if r.Complete = true; err == nil {
		err = e.store.put(r, false)
	}
	if err != nil {
		e.rollback(ctx, r, len(r.Networks))
	}
	return err
}

func (e *engine) attach(ctx context.Context, r *record, a *attached) (err error) {
	defer recovered(&err)
	list, err := libcni.NetworkConfFromBytes(a.List)
	if err != nil {
		return fmt.Errorf("network %s is unusable", a.Name)
	}
	// libcni writes its cache through whatever is there (SEC-03).
	if err := os.Remove(e.cacheFile(r, a)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	result, err := e.cni.AddNetworkList(ctx, list, r.runtimeConf(a, r.Netns))
	if err != nil {
		return fmt.Errorf("network %s: %w", a.Name, err)
	}
	newest, err := types100.GetResult(result)
	if err != nil {
		return fmt.Errorf("network %s: the result: %w", a.Name, err)
	}
	a.Result, err = json.Marshal(newest)
	return err
}

// cacheFile is where libcni keeps a network's result.
func (e *engine) cacheFile(r *record, a *attached) string {
	return filepath.Join(e.cache, "results", nameOf(a.List)+"-"+r.Container+"-"+a.IfName)
}

// guardCache takes a cache file away that libcni must not read: it is not a file,
// or larger than any that libcni wrote (SEC-07).
func (e *engine) guardCache(r *record, a *attached) {
	path := e.cacheFile(r, a)
	if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || info.Size() > 8*largestNetwork) && !broken("reads-any-cache") {
		slog.Error("a cached result is damaged and was removed", "file", path, "container", r.Container)
		_ = os.RemoveAll(path)
	}
}

// rollback deletes the first networks of a record, the last one first.
func (e *engine) rollback(ctx context.Context, r *record, count int) {
	r.Complete = false
	r.Networks = r.Networks[:count]
	if broken("rolls-back-the-failed-only") {
		r.Networks = r.Networks[count-1:]
	}
	if broken("no-rollback") {
		return
	}
	if err := e.delete(context.WithoutCancel(ctx), r, r.Netns); err != nil {
		slog.Error("the rollback is not complete", "container", r.Container, "why", err)
	}
}

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
	// libcni stops at the first plugin that fails; the others have to be asked
	// nevertheless (DEL-06).
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

// sameNamespace refuses a path that leads elsewhere than at ADD (DEL-11).
func (e *engine) sameNamespace(r *record, path string) error {
	if id := namespaceOf(path); id != r.NetnsID || id == "" {
		return refuse(types.ErrInvalidEnvironmentVariables, "CNI_NETNS: %s is not the network namespace of container %s", path, r.Container)
	}
	return nil
}

func (e *engine) check(ctx context.Context, r *record, path string) error {
	if err := e.sameNamespace(r, path); err != nil {
		return err
	}
	for _, a := range r.Networks {
		if err := e.checkOne(ctx, r, a, path); err != nil {
			return err
		}
		if broken("checks-the-default-only") {
			return nil
		}
	}
	return nil
}

func (e *engine) checkOne(ctx context.Context, r *record, a *attached, path string) (err error) {
	defer recovered(&err)
	list, err := libcni.NetworkConfFromBytes(a.List)
	if err != nil {
		return fmt.Errorf("network %s is unusable", a.Name)
	}
	e.guardCache(r, a)
	err = e.cni.CheckNetworkList(ctx, list, r.runtimeConf(a, path))
	if err == nil || errors.Is(err, libcni.ErrorCheckNotSupp) || broken("check-says-yes") {
		return nil
	}
	return fmt.Errorf("CHECK of network %s, interface %s: %w", a.Name, a.IfName, err)
}

// status is STATUS of the default network, or of a configuration on /delegate.
func (e *engine) status(ctx context.Context, plug bool, req *request) error {
	if broken("status-says-yes") {
		return nil
	}
	var text json.RawMessage
	if plug {
		list, err := e.plan.listOf(req.Config, "plugged")
		if err != nil {
			return err
		}
		text = list
	} else {
		if err := e.ready(); err != nil {
			return refuse(specNotAvailable, "ADD cannot be served: %v", err)
		}
		a, err := e.plan.primary()
		if err != nil {
			return err
		}
		text = a.List
	}
	list, err := libcni.NetworkConfFromBytes(text)
	if err != nil {
		return errors.New("the network is unusable")
	}
	return e.cni.GetStatusNetworkList(ctx, list)
}
