// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

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
	{Name: "multus-rights-refused", Cases: []string{"NET-28"}, Kubernetes: true, Daemon: patchesOnly,
		Fault: "the status is patched, whatever the daemon's account may do"},
	{Name: "multus-update-unconditional", Cases: []string{"NET-28"}, Kubernetes: true, Daemon: updateUnconditional,
		Fault: "the status is written by an update that takes back what others wrote in between"},
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

func patchesOnly(a *seam.Assembly) {
	a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, _ *seam.ApiLayer) error {
		text, err := json.Marshal(status)
		if err != nil {
			return err
		}
		annotations := maps.Clone(pod.Annotations)
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations["k8s.v1.cni.cncf.io/network-status"] = string(text)
		patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/metadata/annotations", "value": annotations}})
		if err != nil {
			return err
		}
		return patchStatus(ctx, a.Config.Kubeconfig, pod, patch)
	})
}

// updateUnconditional writes a pod's status without the version that was read.
func updateUnconditional(a *seam.Assembly) {
	a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *seam.ApiLayer) error {
		config, err := clientcmd.BuildConfigFromFlags("", a.Config.Kubeconfig)
		if err != nil {
			return err
		}
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return err
		}
		at := fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s", config.Host, pod.Namespace, pod.Name)
		object, err := askAPI(ctx, client, http.MethodGet, at, nil)
		if err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond) // others write meanwhile
		text, err := json.Marshal(status)
		if err != nil {
			return err
		}
		metadata, _ := object["metadata"].(map[string]any)
		delete(metadata, "resourceVersion")
		annotations, _ := metadata["annotations"].(map[string]any)
		if annotations == nil {
			annotations = map[string]any{}
		}
		annotations["k8s.v1.cni.cncf.io/network-status"] = string(text)
		metadata["annotations"] = annotations
		if _, err = askAPI(ctx, client, http.MethodPut, at+"/status", object); err != nil {
			return next.PublishStatus(ctx, pod, status) // an account that may patch
		}
		return nil
	})
}

// askAPI sends an object and returns the one that is answered.
func askAPI(ctx context.Context, client *http.Client, method, url string, object map[string]any) (map[string]any, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s", method, url, answer.Status)
	}
	var got map[string]any
	return got, json.NewDecoder(answer.Body).Decode(&got)
}
