// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// OnPlan changes a sandbox's attachments just before the first delegate runs.
func OnPlan(f func(rec *ledger.Record)) func(*Assembly) {
	return func(a *Assembly) {
		a.OnRecords(func(r *Records, next attach.Ledger) {
			r.OnBegin = func(rec *ledger.Record) error {
				if rec.State == ledger.StateAdding {
					f(rec)
				}
				return next.Begin(rec)
			}
		})
	}
}

// planOfNow is what an ADD would attach now.
func planOfNow(ctx context.Context, o attach.Options, r *attach.Request) ([]network.Delegate, error) {
	pod, err := o.Cluster.Pod(ctx, r.Pod.Namespace, r.Pod.Name)
	if err != nil {
		return nil, err
	}
	return o.Planner.Plan(ctx, pod, r.Interface, r.RuntimeConfig)
}

// ConfigOfNow replaces the recorded configurations before a command.
func ConfigOfNow(command string) func(*Assembly) {
	return func(a *Assembly) {
		a.Hook(func(h *Hooks, next daemon.Engine, o attach.Options) {
			refresh := func(ctx context.Context, r *attach.Request) error {
				rec, err := o.Ledger.Load(r.ContainerID)
				if err != nil {
					return nil //nolint:nilerr // nothing to refresh
				}
				now, err := planOfNow(ctx, o, r)
				if err != nil {
					return err
				}
				for i := range now {
					if at := rec.Find(now[i].Interface); at >= 0 {
						rec.Attachments[at].Config = string(now[i].Config)
					}
				}
				return o.Ledger.Save(rec)
			}
			if command == "CHECK" {
				h.OnCheck = func(ctx context.Context, r *attach.Request) error {
					return errors.Join(refresh(ctx, r), next.Check(ctx, r))
				}
				return
			}
			h.OnDel = func(ctx context.Context, r *attach.Request) error {
				if err := refresh(ctx, r); err != nil {
					return err
				}
				return next.Del(ctx, r)
			}
		})
	}
}

// NamedNamespace is what names another namespace than the pod's, in either form.
var NamedNamespace = regexp.MustCompile(`[a-z0-9-]+/|,"namespace":"[^"]*"`)

// IsJSON reports whether an annotation is a JSON list.
func IsJSON(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "[") }

// OnAnnotation shows the planner another text of an annotation.
func OnAnnotation(key string, f func(ctx context.Context, text, namespace string, next cluster.Cluster) string) func(*Assembly) {
	return func(a *Assembly) {
		a.OnLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
			pod, err := next.Pod(ctx, namespace, name)
			if err != nil {
				return nil, err
			}
			changed := *pod
			changed.Annotations = map[string]string{}
			for k, v := range pod.Annotations {
				if k == key {
					v = f(ctx, v, namespace, next)
				}
				changed.Annotations[k] = v
			}
			return &changed, nil
		})
	}
}

// OnNetworks changes the networks annotation of each pod.
func OnNetworks(f func(ctx context.Context, text, namespace string, next cluster.Cluster) string) func(*Assembly) {
	return OnAnnotation(network.NetworksAnnotation, f)
}

// OnSelections changes the elements of an annotation that is a JSON list.
func OnSelections(f func(all []map[string]any) []map[string]any) func(*Assembly) {
	return OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		var all []map[string]any
		if !IsJSON(text) || json.Unmarshal([]byte(text), &all) != nil || len(all) == 0 {
			return text
		}
		changed, err := json.Marshal(f(all))
		if err != nil {
			panic(fmt.Sprintf("selections: %v", err)) // they were JSON a moment ago
		}
		return string(changed)
	})
}

// OnDefinition changes, or refuses, every definition that is found.
func OnDefinition(f func(d *cluster.Definition) error) func(*Assembly) {
	return func(a *Assembly) {
		a.OnDefinitionLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error) {
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

// PluginsOf are the plugins of a definition that is a list.
func PluginsOf(d *cluster.Definition) []map[string]any {
	var list struct {
		Plugins []map[string]any `json:"plugins"`
	}
	if json.Unmarshal([]byte(d.Config), &list) != nil {
		return nil
	}
	return list.Plugins
}

// OnEach changes every element of a JSON list.
func OnEach(f func(s map[string]any)) func(*Assembly) {
	return OnSelections(func(all []map[string]any) []map[string]any {
		for _, s := range all {
			f(s)
		}
		return all
	})
}
