// SPDX-License-Identifier: Apache-2.0

// Command libcni executes plugins by github.com/containernetworking/cni/libcni,
// as a program that uses the library does. CHECK and DEL use the configuration
// and the arguments that the library kept at ADD, which
// GetNetworkListCachedConfig is for; where nothing is kept they use the files.
package main

import (
	"context"
	"errors"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/conformance/runtimes/ask"
)

func main() {
	ask.Main("libcni", "github.com/containernetworking/cni", map[string]ask.Verb{"add": add, "del": del, "check": check, "gc": gc, "status": status})
}

func library(r ask.Request) *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir([]string{r.BinDir}, r.CacheDir, nil)
}

func parameters(r ask.Request, a ask.Attachment) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: r.ID, NetNS: r.Netns, IfName: a.IfName, Args: r.Args, CapabilityArgs: r.Capabilities}
}

// add attaches one network after the other.
func add(ctx context.Context, r ask.Request) (any, error) {
	var results []any
	for _, a := range r.Attachments {
		list, err := libcni.LoadNetworkConf(r.ConfDir, a.Network)
		if err != nil {
			return nil, err
		}
		result, err := library(r).AddNetworkList(ctx, list, parameters(r, a))
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// del detaches every network, and reports all errors.
func del(ctx context.Context, r ask.Request) (any, error) {
	var errs []error
	for _, a := range r.Attachments {
		list, with, err := asAdded(r, a)
		if err == nil {
			err = library(r).DelNetworkList(ctx, list, with)
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func check(ctx context.Context, r ask.Request) (any, error) {
	for _, a := range r.Attachments {
		list, with, err := asAdded(r, a)
		if err != nil {
			return nil, err
		}
		if err := library(r).CheckNetworkList(ctx, list, with); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// asAdded returns what the attachment was added with.
func asAdded(r ask.Request, a ask.Attachment) (*libcni.NetworkConfigList, *libcni.RuntimeConf, error) {
	with := parameters(r, a)
	kept, keptWith, err := library(r).GetNetworkListCachedConfig(&libcni.NetworkConfigList{Name: a.Network}, with)
	if err == nil && kept != nil {
		if list, err := libcni.NetworkConfFromBytes(kept); err == nil {
			return list, keptWith, nil
		}
	}
	list, err := libcni.LoadNetworkConf(r.ConfDir, a.Network)
	return list, with, err
}

func gc(ctx context.Context, r ask.Request) (any, error) {
	for _, a := range r.Attachments {
		list, err := libcni.LoadNetworkConf(r.ConfDir, a.Network)
		if err != nil {
			return nil, err
		}
		if err := library(r).GCNetworkList(ctx, list, &libcni.GCArgs{ValidAttachments: r.Valid}); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func status(ctx context.Context, r ask.Request) (any, error) {
	for _, a := range r.Attachments {
		list, err := libcni.LoadNetworkConf(r.ConfDir, a.Network)
		if err != nil {
			return nil, err
		}
		if err := library(r).GetStatusNetworkList(ctx, list); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
