// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containernetworking/cni/pkg/invoke"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profiles add, del and check: what delegates get.
var delegatesMutants = []mutant.Mutant{
	{Name: "config-unknown-dropped", Cases: []string{"ADD-03"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		for key := range conf {
			if strings.HasPrefix(key, "x-") {
				delete(conf, key)
			}
		}
	}), Fault: "fields of a configuration that the daemon does not know are dropped"},
	{Name: "config-inner-unknown-dropped", Cases: []string{"ADD-03"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		if dns, ok := conf["dns"].(map[string]any); ok {
			conf["dns"] = map[string]any{"nameservers": dns["nameservers"]}
		}
	}), Fault: "fields that the daemon does not know are dropped inside those that it knows"},
	{Name: "config-version-raised", Cases: []string{"ADD-03"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) { conf["cniVersion"] = "1.0.0" }),
		Fault: "every delegate gets cniVersion 1.0.0"},
	{Name: "runtime-config-undeclared", Cases: []string{"ADD-03"}, Daemon: seam.OnConf("ADD", func(p *seam.Plugin, conf map[string]any) {
		if p.Request != nil && len(p.Request.RuntimeConfig) > 0 {
			conf["runtimeConfig"] = p.Request.RuntimeConfig
		}
	}), Fault: "a delegate gets runtimeConfig for capabilities that it does not declare"},
	{Name: "runtime-config-missing", Cases: []string{"ADD-03"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) { delete(conf, "runtimeConfig") }),
		Fault: "delegates get no runtimeConfig"},
	{Name: "args-not-passed", Cases: []string{"ADD-03"}, Daemon: seam.OnVariables("ADD", func(p *seam.Plugin) { p.Set("CNI_ARGS", "") }),
		Fault: "delegates get no CNI_ARGS"},
	{Name: "path-not-passed", Cases: []string{"ADD-03"}, Daemon: seam.OnVariables("ADD", func(p *seam.Plugin) { p.Set("CNI_PATH", "/opt/cni/bin") }),
		Fault: "delegates get a CNI_PATH of the daemon's own invention"},
	{Name: "add-prev-result-missing", Cases: []string{"ADD-04"}, Daemon: seam.OnConf("ADD", seam.DropPrevResult),
		Fault: "the plugins of a list get no prevResult at ADD"},
	{Name: "add-prev-result-of-first", Cases: []string{"ADD-04"}, Daemon: prevResultOfFirst,
		Fault: "each plugin of a list gets the first one's result"},
	{Name: "add-prev-result-leaks", Cases: []string{"ADD-04"}, Daemon: prevResultLeaks,
		Fault: "the first plugin of a further network gets the default network's result"},
	{Name: "adds-overlap", Cases: []string{"ADD-15"}, Daemon: overlapping("ADD"),
		Fault: "the delegates of one container run in parallel at ADD"},
	{Name: "dels-overlap", Cases: []string{"ADD-15"}, Daemon: overlapping("DEL"),
		Fault: "the delegates of one container run in parallel at DEL"},
	{Name: "checks-overlap", Cases: []string{"ADD-15"}, Daemon: overlapping("CHECK"),
		Fault: "the delegates of one container run in parallel at CHECK"},
}

// prevResultOfFirst remembers the first result of each list.
func prevResultOfFirst(a *seam.Assembly) {
	var firsts sync.Map
	seam.OnConf("ADD", func(p *seam.Plugin, conf map[string]any) {
		key := p.Get("CNI_CONTAINERID") + p.Get("CNI_IFNAME")
		if conf["prevResult"] == nil {
			firsts.Delete(key)
			return
		}
		first, _ := firsts.LoadOrStore(key, conf["prevResult"])
		conf["prevResult"] = first
	})(a)
}

func prevResultLeaks(a *seam.Assembly) {
	var last sync.Map
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		if p.Command() != "ADD" {
			return run(ctx, p)
		}
		key := p.Get("CNI_CONTAINERID")
		if before, ok := last.Load(key); ok {
			p.Edit(func(conf map[string]any) {
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
func overlapping(command string) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		var started sync.Map
		of := func(containerID string) *sync.WaitGroup {
			v, _ := started.LoadOrStore(containerID, &sync.WaitGroup{})
			return v.(*sync.WaitGroup)
		}
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			if p.Command() != command || p.CommandOfRequest() != command {
				return run(ctx, p)
			}
			of(p.Get("CNI_CONTAINERID")).Go(func() { _, _ = run(context.WithoutCancel(ctx), p) })
			return []byte(`{"cniVersion":"1.0.0"}`), nil
		})
		a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
			h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
				defer of(r.ContainerID).Wait()
				return next.Add(ctx, r)
			}
			h.OnDel = func(ctx context.Context, r *attach.Request) error {
				defer of(r.ContainerID).Wait()
				return next.Del(ctx, r)
			}
			h.OnCheck = func(ctx context.Context, r *attach.Request) error {
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
