// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: network definitions.
var definitionsMutants = []mutant.Mutant{
	{Name: "definition-file-by-file-name", Cases: []string{"NET-05"}, Daemon: fileByFileName,
		Fault: "a node's configuration file is found by its own name too"},
	{Name: "definition-conf-ignored", Cases: []string{"NET-05"}, Daemon: confIgnored,
		Fault: "a node's configuration file that is not a list is not found"},
	{Name: "definition-empty-refused", Cases: []string{"NET-05"}, Daemon: seam.OnDefinition(func(d *cluster.Definition) error {
		if d.Config == "" {
			return fmt.Errorf("network definition %s/%s has no spec.config", d.Namespace, d.Name)
		}
		return nil
	}), Fault: "a definition has to have a configuration"},
	{Name: "definition-first-plugin-only", Cases: []string{"NET-06"}, Daemon: seam.OnDefinition(firstPluginOnly),
		Fault: "of a list only the first plugin is executed"},
	{Name: "definition-list-deleted-forwards", Cases: []string{"NET-06"}, Daemon: listDeletedForwards,
		Fault: "DEL goes through a list in the order of ADD"},
	{Name: "definition-list-to-plugin", Cases: []string{"NET-06"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		conf["plugins"] = []any{map[string]any{"type": conf["type"]}}
	}), Fault: "a plugin gets the list that it is of"},
	{Name: "definition-without-plugin-skipped", Cases: []string{"NET-17"}, Daemon: seam.OnNetworks(func(ctx context.Context, text, namespace string, next cluster.Cluster) string {
		if d, err := next.Definition(ctx, namespace, text); err == nil && len(seam.PluginsOf(d)) == 0 {
			return ""
		}
		return text
	}), Fault: "a list without a plugin is attached, which does nothing"},
	{Name: "definition-without-type-fatal", Cases: []string{"NET-17"}, Daemon: seam.OnDefinition(func(d *cluster.Definition) error {
		for _, p := range seam.PluginsOf(d) {
			if p["type"] == nil {
				os.Exit(2) // as a panic outside the requests' own goroutines does
			}
		}
		return nil
	}), Fault: "a definition with a plugin of no type ends the daemon"},
	{Name: "isolation-ignored", Cases: []string{"NET-08"}, Daemon: func(a *seam.Assembly) { a.Config.NamespaceIsolation = false },
		Fault: "namespaceIsolation keeps nobody out"},
	{Name: "isolation-of-default-ignored", Cases: []string{"NET-08"}, Daemon: isolationOfDefaultIgnored,
		Fault: "namespaceIsolation does not apply to a pod's own default network"},
	{Name: "isolation-first-global-only", Cases: []string{"NET-08"}, Daemon: func(a *seam.Assembly) {
		a.Config.GlobalNamespaces, _, _ = strings.Cut(a.Config.GlobalNamespaces, ",")
	}, Fault: "of the global namespaces only the first one is"},
}

func fileByFileName(a *seam.Assembly) {
	seam.OnDefinition(func(d *cluster.Definition) error {
		found, err := filepath.Glob(filepath.Join(a.Config.ConfDir, "*-"+d.Name+".conflist"))
		if err != nil || d.Config != "" || len(found) == 0 {
			return err
		}
		content, err := os.ReadFile(found[0])
		d.Config = string(content)
		return err
	})(a)
}

func confIgnored(a *seam.Assembly) {
	seam.OnDefinition(func(d *cluster.Definition) error {
		files, err := filepath.Glob(filepath.Join(a.Config.ConfDir, "*.conf"))
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
	if plugins := seam.PluginsOf(d); len(plugins) > 1 {
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
func listDeletedForwards(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnLoad = func(containerID string) (*ledger.Record, error) {
			rec, err := next.Load(containerID)
			if err != nil {
				return nil, err
			}
			for i := range rec.Attachments {
				plugins := seam.PluginsOf(&cluster.Definition{Config: rec.Attachments[i].Config})
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

func isolationOfDefaultIgnored(a *seam.Assembly) {
	onDefaultNetwork(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		foreign, name, found := strings.Cut(text, "/")
		if !found || seam.IsJSON(text) || !a.Config.NamespaceIsolation {
			return text
		}
		return namespace + "/" + foreignMark + name + "." + foreign
	})(a)
	a.OnDefinitionLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error) {
		if marked, found := strings.CutPrefix(name, foreignMark); found {
			name, namespace, _ = strings.Cut(marked, ".")
		}
		return next.Definition(ctx, namespace, name)
	})
}
