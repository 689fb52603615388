// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

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
	if err := looked(a, path); err != nil {
		return err
	}
	e.guardCache(r, a)
	err = e.cni.CheckNetworkList(ctx, list, r.runtimeConf(a, path))
	if err == nil || errors.Is(err, libcni.ErrorCheckNotSupp) || broken("check-says-yes") {
		return nil
	}
	return fmt.Errorf("CHECK of network %s, interface %s: %w", a.Name, a.IfName, err)
}

// looked reports an interface of the container that an attachment's result lists
// and that is not there, which its plugins need not be asked about.
func looked(a *attached, path string) error {
	var result types100.Result
	if err := json.Unmarshal(a.Result, &result); err != nil {
		return fmt.Errorf("the result of network %s is unusable", a.Name)
	}
	there, err := interfacesIn(path)
	if err != nil {
		return err
	}
	for _, i := range result.Interfaces {
		if i.Sandbox != "" && !there[i.Name] {
			return fmt.Errorf("CHECK of network %s: there is no interface %s in the container", a.Name, cut(i.Name, 64))
		}
	}
	return nil
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
