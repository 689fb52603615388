// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

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
