// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: configurations and rights that Multus' users have.
var multusMutants = []mutant.Mutant{
	{Name: "multus-auto-has-to-be-said", Cases: []string{"NET-28"}, Unserved: true, Daemon: func(a *seam.Assembly) {
		if !a.Has("multusConfigFile") {
			a.Config.MultusConfigFile = ""
		}
	}, Fault: "without multusConfigFile the node's default network is not found"},
	{Name: "multus-keys-refused", Cases: []string{"NET-28"}, Unserved: true, Daemon: refusesConfig(func(a *seam.Assembly) bool {
		return a.Has("logOptions") || a.Has("retryDeleteOnError")
	}), Fault: "keys of Multus that mean little here are refused"},
	{Name: "multus-delegates-refused", Cases: []string{"NET-28"}, Unserved: true, Daemon: refusesConfig(func(a *seam.Assembly) bool { return a.Has("delegates") }),
		Fault: "a configuration with delegates is refused"},
	{Name: "multus-network-beside-auto-refused", Cases: []string{"NET-28"}, Unserved: true, Daemon: refusesConfig(func(a *seam.Assembly) bool {
		return a.Config.ClusterNetwork != "" && a.Config.MultusConfigFile == "auto"
	}), Fault: "clusterNetwork beside auto is refused"},
	{Name: "multus-network-beside-auto-ignored", Cases: []string{"NET-28"}, Daemon: func(a *seam.Assembly) {
		if a.Config.MultusConfigFile == "auto" {
			a.Config.ClusterNetwork = ""
		}
	}, Fault: "clusterNetwork beside auto is ignored"},
	{Name: "multus-capabilities-dropped", Cases: []string{"NET-28"}, Daemon: func(a *seam.Assembly) { a.Config.Capabilities = nil },
		Fault: "capabilities of the daemon's configuration are not declared to the runtime"},
	{Name: "multus-first-delegate-only", Cases: []string{"NET-28"}, Daemon: seam.OnPlan(func(rec *ledger.Record) {
		rec.Attachments = slices.DeleteFunc(rec.Attachments, func(at ledger.Attachment) bool { return !at.Default && !strings.Contains(at.Definition, "/") })
	}), Fault: "of delegates only the first one is attached"},
	{Name: "multus-rights-refused", Cases: []string{"NET-28"}, Kubernetes: true, Daemon: func(a *seam.Assembly) {
		a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, _ *seam.ApiLayer) error {
			text, err := json.Marshal(status)
			if err != nil {
				return err
			}
			patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/metadata/annotations/k8s.v1.cni.cncf.io~1network-status", "value": string(text)}})
			if err != nil {
				return err
			}
			return patchStatus(ctx, a.Config.Kubeconfig, pod, patch)
		})
	}, Fault: "the status is patched, whatever the daemon's account may do"},
}

// refusesConfig has the daemon refuse to start with some configurations.
func refusesConfig(refused func(a *seam.Assembly) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnStart(func() error {
			if refused(a) {
				return errors.New("the configuration has keys that cannot be used")
			}
			return nil
		})
	}
}
