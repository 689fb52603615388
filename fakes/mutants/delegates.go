// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"

	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// The profiles add, del and check: what delegates get.
func init() {
	register(
		mutant{name: "config-unknown-dropped", cases: []string{"ADD-03"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) {
			for key := range conf {
				if strings.HasPrefix(key, "x-") {
					delete(conf, key)
				}
			}
		}), fault: "fields of a configuration that the daemon does not know are dropped"},
		mutant{name: "config-inner-unknown-dropped", cases: []string{"ADD-03"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) {
			if dns, ok := conf["dns"].(map[string]any); ok {
				conf["dns"] = map[string]any{"nameservers": dns["nameservers"]}
			}
		}), fault: "fields that the daemon does not know are dropped inside those that it knows"},
		mutant{name: "config-version-raised", cases: []string{"ADD-03"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) { conf["cniVersion"] = "1.0.0" }),
			fault: "every delegate gets cniVersion 1.0.0"},
		mutant{name: "runtime-config-undeclared", cases: []string{"ADD-03"}, daemon: onConf("ADD", func(p *plugin, conf map[string]any) {
			if p.request != nil && len(p.request.RuntimeConfig) > 0 {
				conf["runtimeConfig"] = p.request.RuntimeConfig
			}
		}), fault: "a delegate gets runtimeConfig for capabilities that it does not declare"},
		mutant{name: "runtime-config-missing", cases: []string{"ADD-03"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) { delete(conf, "runtimeConfig") }),
			fault: "delegates get no runtimeConfig"},
		mutant{name: "args-not-passed", cases: []string{"ADD-03"}, daemon: onVariables("ADD", func(p *plugin) { p.set("CNI_ARGS", "") }),
			fault: "delegates get no CNI_ARGS"},
		mutant{name: "path-not-passed", cases: []string{"ADD-03"}, daemon: onVariables("ADD", func(p *plugin) { p.set("CNI_PATH", "/opt/cni/bin") }),
			fault: "delegates get a CNI_PATH of the daemon's own invention"},
		mutant{name: "add-prev-result-missing", cases: []string{"ADD-04"}, daemon: onConf("ADD", dropPrevResult),
			fault: "the plugins of a list get no prevResult at ADD"},
		mutant{name: "add-prev-result-of-first", cases: []string{"ADD-04"}, daemon: prevResultOfFirst,
			fault: "each plugin of a list gets the first one's result"},
		mutant{name: "add-prev-result-leaks", cases: []string{"ADD-04"}, daemon: prevResultLeaks,
			fault: "the first plugin of a further network gets the default network's result"},
		mutant{name: "adds-overlap", cases: []string{"ADD-15"}, daemon: overlapping("ADD"),
			fault: "the delegates of one container run in parallel at ADD"},
		mutant{name: "dels-overlap", cases: []string{"ADD-15"}, daemon: overlapping("DEL"),
			fault: "the delegates of one container run in parallel at DEL"},
		mutant{name: "checks-overlap", cases: []string{"ADD-15"}, daemon: overlapping("CHECK"),
			fault: "the delegates of one container run in parallel at CHECK"},
	)
}

// onConf changes the configuration that plugins get at a command.
func onConf(command string, f func(p *plugin, conf map[string]any)) func(*assembly) {
	return onVariables(command, func(p *plugin) { p.edit(func(conf map[string]any) { f(p, conf) }) })
}

// onVariables changes a plugin before it runs a command.
func onVariables(command string, f func(p *plugin)) func(*assembly) {
	return func(a *assembly) {
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			if p.command() == command {
				f(p)
			}
			return run(ctx, p)
		})
	}
}

func dropPrevResult(_ *plugin, conf map[string]any) { delete(conf, "prevResult") }

// prevResultOfFirst remembers the first result of each list.
func prevResultOfFirst(a *assembly) {
	var firsts sync.Map
	onConf("ADD", func(p *plugin, conf map[string]any) {
		key := p.get("CNI_CONTAINERID") + p.get("CNI_IFNAME")
		if conf["prevResult"] == nil {
			firsts.Delete(key)
			return
		}
		first, _ := firsts.LoadOrStore(key, conf["prevResult"])
		conf["prevResult"] = first
	})(a)
}

func prevResultLeaks(a *assembly) {
	var last sync.Map
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		if p.command() != "ADD" {
			return run(ctx, p)
		}
		key := p.get("CNI_CONTAINERID")
		if before, ok := last.Load(key); ok {
			p.edit(func(conf map[string]any) {
				if conf["prevResult"] == nil {
					conf["prevResult"] = before
				}
			})
		}
		out, err := run(ctx, p)
		var result map[string]any
		if err == nil && json.Unmarshal(out, &result) == nil {
			last.Store(key, result)
		}
		return out, err
	})
}

// overlapping starts delegates without waiting for their end; the request does.
func overlapping(command string) func(*assembly) {
	return func(a *assembly) {
		var started sync.Map
		of := func(containerID string) *sync.WaitGroup {
			v, _ := started.LoadOrStore(containerID, &sync.WaitGroup{})
			return v.(*sync.WaitGroup)
		}
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			if p.command() != command || p.commandOfRequest() != command {
				return run(ctx, p)
			}
			of(p.get("CNI_CONTAINERID")).Go(func() { _, _ = run(context.WithoutCancel(ctx), p) })
			return []byte(`{"cniVersion":"1.0.0"}`), nil
		})
		a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
			h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
				defer of(r.ContainerID).Wait()
				return next.Add(ctx, r)
			}
			h.del = func(ctx context.Context, r *attach.Request) error {
				defer of(r.ContainerID).Wait()
				return next.Del(ctx, r)
			}
			h.check = func(ctx context.Context, r *attach.Request) error {
				defer of(r.ContainerID).Wait()
				return next.Check(ctx, r)
			}
		})
	}
}

// findless is an Exec that takes every plugin for installed.
type findless struct{ invoke.Exec }

// FindInPath implements invoke.Exec.
func (findless) FindInPath(plugin string, paths []string) (string, error) {
	return filepath.Join(paths[0], plugin), nil
}
