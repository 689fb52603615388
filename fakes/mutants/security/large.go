// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// What becomes of what is large, in a definition and in a file.
var largeMutants = []mutant.Mutant{
	{Name: "plugins-unlimited", Cases: []string{"SEC-06"}, Daemon: pluginsUnlimited,
		Fault: "any number of plugins is executed"},
	{Name: "limit-blamed-on-daemon", Cases: []string{"SEC-06"}, Daemon: limitBlamed,
		Fault: "a pod that asks for too much is told of an internal error"},
	{Name: "definitions-all-remembered", Cases: []string{"SEC-06"}, Kubernetes: true, Unserved: true, Daemon: definitionsRemembered,
		Fault: "every configuration of every namespace is kept in memory"},
	{Name: "failed-pods-remembered", Cases: []string{"SEC-06"}, Daemon: failedRemembered,
		Fault: "of each pod whose ADD fails the annotations stay in memory"},
	{Name: "definitions-listed-whole", Cases: []string{"SEC-06"}, Kubernetes: true, Unserved: true, Daemon: definitionsListedWhole,
		Fault: "where the API server streams no lists, all definitions are read at once"},
	{Name: "records-decoded-whole", Cases: []string{"SEC-07"}, Unserved: true, Daemon: recordsDecodedWhole,
		Fault: "a record is decoded at once, whatever its size and content"},
	{Name: "records-kept-in-memory", Cases: []string{"SEC-07"}, Unserved: true, Daemon: recordsKept,
		Fault: "all records are read into memory at start"},
}

func pluginsUnlimited(a *seam.Assembly) {
	const much = 8 << 20
	a.Config.PluginLimit, a.Config.ConfigLimit, a.Config.PlanLimit, a.Config.RecordLimit = much, much, much, ledger.MaxLimit
}

func limitBlamed(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			result, err := next.Add(ctx, r)
			var own *types.Error
			if errors.As(err, &own) && strings.Contains(own.Msg, "the limit is") {
				err = types.NewError(types.ErrInternal, own.Msg, own.Details)
			}
			return result, err
		}
	})
}

func failedRemembered(a *seam.Assembly) {
	var kept sync.Map
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			pod, lookup := o.Cluster.Pod(ctx, r.Pod.Namespace, r.Pod.Name)
			result, err := next.Add(ctx, r)
			if err != nil && lookup == nil {
				kept.Store(r.Pod, pod)
			}
			return result, err
		}
	})
}

func definitionsRemembered(a *seam.Assembly) {
	a.Apis = append(a.Apis, func(own cluster.Cluster) cluster.Cluster {
		all, err := cluster.NewKubernetes(cluster.KubernetesOptions{Kubeconfig: a.Config.Kubeconfig, NodeName: a.Config.NodeName, Budget: 4 << 30})
		if err != nil {
			return own
		}
		return all
	})
}

func definitionsListedWhole(a *seam.Assembly) {
	a.Apis = append(a.Apis, func(own cluster.Cluster) cluster.Cluster {
		all, err := cluster.NewKubernetes(cluster.KubernetesOptions{Kubeconfig: a.Config.Kubeconfig, NodeName: a.Config.NodeName, Budget: 8 << 20, PageBytes: 4 << 30})
		if err != nil {
			return own
		}
		return all
	})
}

// recordsDecodedWhole looks at each record as a decoder of whole documents would.
func recordsDecodedWhole(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnLoad = func(containerID string) (*ledger.Record, error) {
			for _, path := range []string{filepath.Join(a.Config.CNIDir, "ledger", containerID+".json"), filepath.Join(a.Config.CNIDir, containerID)} {
				if data, err := os.ReadFile(path); err == nil {
					var whole any
					_ = json.Unmarshal(data, &whole)
				}
			}
			return next.Load(containerID)
		}
	})
}

// recordsKept keeps everything that was read for longer than it is needed.
func recordsKept(a *seam.Assembly) {
	var kept []any
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnLoad = func(containerID string) (*ledger.Record, error) {
			rec, err := next.Load(containerID)
			if err != nil {
				return nil, err
			}
			for i := range rec.Attachments {
				var config any
				_ = json.Unmarshal([]byte(rec.Attachments[i].Config), &config)
				kept = append(kept, config, []byte(rec.Attachments[i].Config))
			}
			return rec, nil
		}
	})
}
