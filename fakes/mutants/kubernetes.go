// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// The profile multinet: status, events and definitions in an API server.
func init() {
	register(
		mutant{name: "status-per-network", cases: []string{"NET-10"}, kubernetes: true, daemon: statusPerNetwork,
			fault: "the status is written after each network"},
		mutant{name: "status-reads-first", cases: []string{"NET-10"}, kubernetes: true, daemon: statusReadsFirst,
			fault: "the pod is read before its status is written"},
		mutant{name: "status-replaces-annotations", cases: []string{"NET-10"}, kubernetes: true, daemon: statusReplacesAnnotations,
			fault: "the status is written with all annotations, as they were known"},
		mutant{name: "events-missing", cases: []string{"NET-12"}, kubernetes: true, daemon: onEvent(func(*event) bool { return false }),
			fault: "there are no events"},
		mutant{name: "events-of-success-only", cases: []string{"NET-12"}, kubernetes: true, daemon: onEvent(func(e *event) bool { return e.eventType == cluster.EventNormal }),
			fault: "there is no event of an ADD that failed"},
		mutant{name: "events-without-network", cases: []string{"NET-12"}, kubernetes: true, daemon: onEvent(func(e *event) bool {
			if e.eventType == cluster.EventWarning {
				e.message = "the sandbox could not be attached to its networks"
			}
			return true
		}), fault: "the warning does not say which network failed"},
		mutant{name: "events-without-uid", cases: []string{"NET-12"}, kubernetes: true, daemon: onEvent(func(e *event) bool {
			e.pod.UID = ""
			return true
		}), fault: "events do not say which pod of its name they are about"},
		mutant{name: "definitions-stale", cases: []string{"NET-13"}, kubernetes: true, daemon: definitionsStale,
			fault: "a definition that is known is not asked for, however late that knowledge is"},
		mutant{name: "mirror-pods-refused", cases: []string{"NET-13"}, kubernetes: true, daemon: mirrorPodsRefused,
			fault: "the pod of a static pod is taken for another one, because its mirror has another UID"},
	)
}

// wrapAPI puts a layer round the cluster of an API server.
func (a *assembly) wrapAPI(f func(next *apiLayer) cluster.Cluster) {
	a.apis = append(a.apis, func(next cluster.Cluster) cluster.Cluster {
		if k, ok := next.(*cluster.Kubernetes); ok {
			return f(&apiLayer{k})
		}
		return next
	})
}

// apiLayer is an API server's cluster with all that it can do; layers embed it
// and replace methods one by one.
type apiLayer struct{ *cluster.Kubernetes }

// publishing is a cluster whose PublishStatus a fault replaces.
type publishing struct {
	*apiLayer
	publish func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error
}

// PublishStatus implements cluster.Cluster.
func (p *publishing) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	return p.publish(ctx, pod, status)
}

// onPublish replaces the publishing of a pod's status.
func (a *assembly) onPublish(f func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *apiLayer) error) {
	a.wrapAPI(func(next *apiLayer) cluster.Cluster {
		return &publishing{next, func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
			return f(ctx, pod, status, next)
		}}
	})
}

func statusPerNetwork(a *assembly) {
	a.onPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *apiLayer) error {
		for n := range status {
			if err := next.PublishStatus(ctx, pod, status[:n+1]); err != nil {
				return err
			}
		}
		return nil
	})
}

func statusReadsFirst(a *assembly) {
	a.onPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *apiLayer) error {
		if _, err := next.LivePod(ctx, pod.Namespace, pod.Name); err != nil {
			return err
		}
		return next.PublishStatus(ctx, pod, status)
	})
}

// statusReplacesAnnotations writes all annotations that the daemon knows of,
// in one request.
func statusReplacesAnnotations(a *assembly) {
	const annotation = "k8s.v1.cni.cncf.io/network-status"
	a.onPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, _ *apiLayer) error {
		text, err := json.Marshal(status)
		if err != nil {
			return err
		}
		annotations := map[string]string{annotation: string(text)}
		for key, value := range pod.Annotations {
			if key != annotation {
				annotations[key] = value
			}
		}
		patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/metadata/annotations", "value": annotations}})
		if err != nil {
			return err
		}
		return patchStatus(ctx, a.config.Kubeconfig, pod, patch)
	})
}

// patchStatus sends a JSON patch (RFC 6902) of a pod through its status. A
// clientset would take too much of the memory that RES-06 grants the daemon.
func patchStatus(ctx context.Context, kubeconfig string, pod *cluster.Pod, patch []byte) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	url := fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s/status", config.Host, pod.Namespace, pod.Name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, bytes.NewReader(patch))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", string(types.JSONPatchType))
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status of pod %s/%s: %s", pod.Namespace, pod.Name, answer.Status)
	}
	return nil
}

// event is an event before it is recorded, to be changed.
type event struct {
	pod                        cluster.Pod
	eventType, reason, message string
}

// recording is a cluster whose events a fault changes or drops.
type recording struct {
	*apiLayer
	keep func(e *event) bool
}

// Event implements cluster.Recorder.
func (r *recording) Event(pod *cluster.Pod, eventType, reason, message string) {
	if e := (&event{*pod, eventType, reason, message}); r.keep(e) {
		r.apiLayer.Event(&e.pod, e.eventType, e.reason, e.message)
	}
}

// onEvent has f called with each event; those that it is not true for are
// dropped.
func onEvent(f func(e *event) bool) func(*assembly) {
	return func(a *assembly) {
		a.wrapAPI(func(next *apiLayer) cluster.Cluster { return &recording{next, f} })
	}
}

func definitionsStale(a *assembly) {
	a.wrapAPI(func(next *apiLayer) cluster.Cluster { return &stale{next} })
}

// stale is a cluster that never asks for a definition that it knows.
type stale struct{ *apiLayer }

// Definition implements cluster.Cluster.
func (s *stale) Definition(ctx context.Context, namespace, name string) (*cluster.Definition, error) {
	d, err := s.apiLayer.Definition(withoutValues{ctx}, namespace, name)
	if errors.Is(err, cluster.ErrNotFound) {
		return s.apiLayer.Definition(ctx, namespace, name)
	}
	return d, err
}

// withoutValues is a context that has forgotten which pod a look-up is for.
type withoutValues struct{ context.Context }

// Value implements context.Context.
func (withoutValues) Value(any) any { return nil }

func mirrorPodsRefused(a *assembly) {
	a.wrapAPI(func(next *apiLayer) cluster.Cluster { return &unmirrored{next} })
}

// unmirrored is a cluster whose pods do not show which static pod they stand for.
type unmirrored struct{ *apiLayer }

// Pod implements cluster.Cluster.
func (u *unmirrored) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return withoutMirror(u.apiLayer.Pod(ctx, namespace, name))
}

// LivePod implements cluster.LiveCluster.
func (u *unmirrored) LivePod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return withoutMirror(u.apiLayer.LivePod(ctx, namespace, name))
}

func withoutMirror(pod *cluster.Pod, err error) (*cluster.Pod, error) {
	if err != nil {
		return nil, err
	}
	delete(pod.Annotations, "kubernetes.io/config.mirror")
	return pod, nil
}
