// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: network definitions.
func init() {
	register(
		mutant{name: "definition-file-by-file-name", cases: []string{"NET-05"}, daemon: fileByFileName,
			fault: "a node's configuration file is found by its own name too"},
		mutant{name: "definition-conf-ignored", cases: []string{"NET-05"}, daemon: confIgnored,
			fault: "a node's configuration file that is no list is not found"},
		mutant{name: "definition-empty-refused", cases: []string{"NET-05"}, daemon: onDefinition(func(d *cluster.Definition) error {
			if d.Config == "" {
				return fmt.Errorf("network definition %s/%s has no spec.config", d.Namespace, d.Name)
			}
			return nil
		}), fault: "a definition has to have a configuration"},
		mutant{name: "definition-first-plugin-only", cases: []string{"NET-06"}, daemon: onDefinition(firstPluginOnly),
			fault: "of a list only the first plugin is executed"},
		mutant{name: "definition-list-deleted-forwards", cases: []string{"NET-06"}, daemon: listDeletedForwards,
			fault: "DEL goes through a list in the order of ADD"},
		mutant{name: "definition-list-to-plugin", cases: []string{"NET-06"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) {
			conf["plugins"] = []any{map[string]any{"type": conf["type"]}}
		}), fault: "a plugin gets the list that it is of"},
		mutant{name: "definition-without-plugin-skipped", cases: []string{"NET-17"}, daemon: onNetworks(func(ctx context.Context, text, namespace string, next cluster.Cluster) string {
			if d, err := next.Definition(ctx, namespace, text); err == nil && len(pluginsOf(d)) == 0 {
				return ""
			}
			return text
		}), fault: "a list without a plugin is attached, which does nothing"},
		mutant{name: "definition-without-type-fatal", cases: []string{"NET-17"}, daemon: onDefinition(func(d *cluster.Definition) error {
			for _, p := range pluginsOf(d) {
				if p["type"] == nil {
					os.Exit(2) // as a panic outside the requests' own goroutines does
				}
			}
			return nil
		}), fault: "a definition with a plugin of no type ends the daemon"},
		mutant{name: "isolation-ignored", cases: []string{"NET-08"}, daemon: func(a *assembly) { a.config.NamespaceIsolation = false },
			fault: "namespaceIsolation keeps nobody out"},
		mutant{name: "isolation-of-default-ignored", cases: []string{"NET-08"}, daemon: isolationOfDefaultIgnored,
			fault: "namespaceIsolation does not apply to a pod's own default network"},
		mutant{name: "isolation-first-global-only", cases: []string{"NET-08"}, daemon: func(a *assembly) {
			a.config.GlobalNamespaces, _, _ = strings.Cut(a.config.GlobalNamespaces, ",")
		}, fault: "of the global namespaces only the first one is"},
	)
}

// definitions is a cluster whose definitions a fault changes.
type definitions struct {
	*lookups
	definition func(ctx context.Context, namespace, name string) (*cluster.Definition, error)
}

// Definition implements cluster.Cluster.
func (d *definitions) Definition(ctx context.Context, namespace, name string) (*cluster.Definition, error) {
	return d.definition(ctx, namespace, name)
}

// onDefinitionLookup replaces the look-up of definitions.
func (a *assembly) onDefinitionLookup(f func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error)) {
	next := a.cluster
	a.cluster = &definitions{&lookups{next, next.Pod}, func(ctx context.Context, namespace, name string) (*cluster.Definition, error) {
		return f(ctx, namespace, name, next)
	}}
}

// onDefinition changes, or refuses, every definition that is found.
func onDefinition(f func(d *cluster.Definition) error) func(*assembly) {
	return func(a *assembly) {
		a.onDefinitionLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error) {
			d, err := next.Definition(ctx, namespace, name)
			if err != nil {
				return nil, err
			}
			changed := *d
			if err := f(&changed); err != nil {
				return nil, err
			}
			return &changed, nil
		})
	}
}

// pluginsOf are the plugins of a definition that is a list.
func pluginsOf(d *cluster.Definition) []map[string]any {
	var list struct {
		Plugins []map[string]any `json:"plugins"`
	}
	if json.Unmarshal([]byte(d.Config), &list) != nil {
		return nil
	}
	return list.Plugins
}

func fileByFileName(a *assembly) {
	onDefinition(func(d *cluster.Definition) error {
		found, err := filepath.Glob(filepath.Join(a.config.ConfDir, "*-"+d.Name+".conflist"))
		if err != nil || d.Config != "" || len(found) == 0 {
			return err
		}
		content, err := os.ReadFile(found[0])
		d.Config = string(content)
		return err
	})(a)
}

func confIgnored(a *assembly) {
	onDefinition(func(d *cluster.Definition) error {
		files, err := filepath.Glob(filepath.Join(a.config.ConfDir, "*.conf"))
		if err != nil || d.Config != "" {
			return err
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if strings.Contains(string(content), `"name":"`+d.Name+`"`) {
				return fmt.Errorf("no configuration list of network %s: %w", d.Name, cluster.ErrNotFound)
			}
		}
		return nil
	})(a)
}

func firstPluginOnly(d *cluster.Definition) error {
	if plugins := pluginsOf(d); len(plugins) > 1 {
		changed, err := withPlugins(d.Config, plugins[:1])
		d.Config = changed
		return err
	}
	return nil
}

// withPlugins puts others in the place of a list's plugins.
func withPlugins(config string, plugins []map[string]any) (string, error) {
	var list map[string]any
	if err := json.Unmarshal([]byte(config), &list); err != nil {
		return "", err
	}
	list["plugins"] = plugins
	changed, err := json.Marshal(list)
	return string(changed), err
}

// listDeletedForwards has DEL find lists the other way round.
func listDeletedForwards(a *assembly) {
	a.onRecords(func(r *records, next attach.Ledger) {
		r.load = func(containerID string) (*ledger.Record, error) {
			rec, err := next.Load(containerID)
			if err != nil {
				return nil, err
			}
			for i := range rec.Attachments {
				plugins := pluginsOf(&cluster.Definition{Config: rec.Attachments[i].Config})
				slices.Reverse(plugins)
				if rec.Attachments[i].Config, err = withPlugins(rec.Attachments[i].Config, plugins); err != nil {
					return nil, err
				}
			}
			return rec, nil
		}
	})
}

// foreignMark begins the name by which a definition of another namespace is
// asked for in the pod's own, so that the real check does not see it.
const foreignMark = "x9-"

func isolationOfDefaultIgnored(a *assembly) {
	onDefaultNetwork(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		foreign, name, found := strings.Cut(text, "/")
		if !found || isJSON(text) || !a.config.NamespaceIsolation {
			return text
		}
		return namespace + "/" + foreignMark + name + "." + foreign
	})(a)
	a.onDefinitionLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error) {
		if marked, found := strings.CutPrefix(name, foreignMark); found {
			name, namespace, _ = strings.Cut(marked, ".")
		}
		return next.Definition(ctx, namespace, name)
	})
}
