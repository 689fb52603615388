// SPDX-License-Identifier: Apache-2.0

// Command ocicni executes plugins by github.com/cri-o/ocicni, as CRI-O does: a
// container is a pod with its networks, and the library keeps what it attached.
// It passes on the capability arguments that it knows, and adds CNI_ARGS of its
// own to those in the environment.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cri-o/ocicni/pkg/ocicni"

	"github.com/thicket-cni/thicket/conformance/runtimes/ask"
)

func main() {
	ask.Main("ocicni", "github.com/cri-o/ocicni", map[string]ask.Verb{"add": add, "del": del, "check": check, "gc": gc, "status": status})
}

// load returns the library. CRI-O lets it watch the directory; one verb needs no
// watch.
func load(r ask.Request) (ocicni.CNIPlugin, error) {
	var pairs []string
	for _, pair := range r.Args {
		pairs = append(pairs, pair[0]+"="+pair[1])
	}
	if err := os.Setenv("CNI_ARGS", strings.Join(pairs, ";")); err != nil {
		return nil, err
	}
	return ocicni.InitCNINoInotify("", r.ConfDir, r.CacheDir, r.BinDir)
}

// pod returns the container as the library's pod.
func pod(r ask.Request) (ocicni.PodNetwork, error) {
	capabilities, aliases, err := capabilities(r.Capabilities)
	if err != nil {
		return ocicni.PodNetwork{}, err
	}
	p := ocicni.PodNetwork{
		Name: "pod-" + r.ID, Namespace: "default", ID: r.ID, UID: r.ID, NetNS: r.Netns,
		RuntimeConfig: map[string]ocicni.RuntimeConfig{}, Aliases: aliases,
	}
	for _, a := range r.Attachments {
		p.Networks = append(p.Networks, ocicni.NetAttachment{Name: a.Network, Ifname: a.IfName})
		p.RuntimeConfig[a.Network] = capabilities
	}
	return p, nil
}

// capabilities translates the capability arguments that the library knows. One
// that it does not know cannot be passed on, so it is an error.
func capabilities(given map[string]any) (config ocicni.RuntimeConfig, aliases map[string][]string, err error) {
	into := map[string]any{
		"portMappings": &config.PortMappings, "bandwidth": &config.Bandwidth, "ipRanges": &config.IpRanges,
		"cgroupPath": &config.CgroupPath, "aliases": &aliases, "io.kubernetes.cri.pod-annotations": &config.PodAnnotations,
	}
	for name, value := range given {
		if into[name] == nil {
			return config, nil, fmt.Errorf("the library has no capability argument %q", name)
		}
		data, err := json.Marshal(value)
		if err != nil {
			return config, nil, err
		}
		if err := json.Unmarshal(data, into[name]); err != nil {
			return config, nil, fmt.Errorf("the capability argument %s: %w", name, err)
		}
	}
	return config, aliases, nil
}

func add(ctx context.Context, r ask.Request) (any, error) {
	library, p, err := prepare(r)
	if err != nil {
		return nil, err
	}
	results, err := library.SetUpPodWithContext(ctx, p)
	if err != nil {
		return nil, err
	}
	var all []any
	for _, result := range results {
		all = append(all, result.Result)
	}
	return all, nil
}

func del(ctx context.Context, r ask.Request) (any, error) {
	library, p, err := prepare(r)
	if err != nil {
		return nil, err
	}
	return nil, library.TearDownPodWithContext(ctx, p)
}

// check asks for the pod's network status, which is how the library executes CHECK.
func check(ctx context.Context, r ask.Request) (any, error) {
	library, p, err := prepare(r)
	if err != nil {
		return nil, err
	}
	_, err = library.GetPodNetworkStatusWithContext(ctx, p)
	return nil, err
}

// gc keeps the valid attachments, as those of pods on the networks of the request.
func gc(ctx context.Context, r ask.Request) (any, error) {
	library, err := load(r)
	if err != nil {
		return nil, err
	}
	var pods []*ocicni.PodNetwork
	for _, valid := range r.Valid {
		at := slices.IndexFunc(pods, func(p *ocicni.PodNetwork) bool { return p.ID == valid.ContainerID })
		if at < 0 {
			at, pods = len(pods), append(pods, &ocicni.PodNetwork{ID: valid.ContainerID})
		}
		for _, a := range r.Attachments {
			pods[at].Networks = append(pods[at].Networks, ocicni.NetAttachment{Name: a.Network, Ifname: valid.IfName})
		}
	}
	return nil, library.GC(ctx, pods)
}

func status(ctx context.Context, r ask.Request) (any, error) {
	library, err := load(r)
	if err != nil {
		return nil, err
	}
	return nil, library.StatusWithContext(ctx)
}

// prepare returns the library and the request's pod.
func prepare(r ask.Request) (ocicni.CNIPlugin, ocicni.PodNetwork, error) {
	p, err := pod(r)
	if err != nil {
		return nil, p, err
	}
	library, err := load(r)
	return library, p, err
}
