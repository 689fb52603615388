// SPDX-License-Identifier: Apache-2.0

package multinet

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

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// The profile multinet: status, events and definitions in an API server.
var kubernetesMutants = []mutant.Mutant{
	{Name: "status-per-network", Cases: []string{"NET-10"}, Kubernetes: true, Daemon: statusPerNetwork,
		Fault: "the status is written after each network"},
	{Name: "status-reads-first", Cases: []string{"NET-10"}, Kubernetes: true, Daemon: statusReadsFirst,
		Fault: "the pod is read before its status is written"},
	{Name: "status-replaces-annotations", Cases: []string{"NET-10"}, Kubernetes: true, Daemon: statusReplacesAnnotations,
		Fault: "the status is written with all annotations, as they were known"},
	{Name: "status-conflict-fails-add", Cases: []string{"NET-10"}, Kubernetes: true, Daemon: statusOnce(func(err error) error {
		return fmt.Errorf("%w: %w", cluster.ErrNotFound, err)
	}), Fault: "a conflict of the write of the status is taken for a pod that is gone, and ADD fails"},
	{Name: "status-conflict-ignored", Cases: []string{"NET-10"}, Kubernetes: true, Daemon: statusOnce(func(error) error { return nil }),
		Fault: "after a conflict of the write of the status it is not written again, and missing for good"},
	{Name: "events-missing", Cases: []string{"NET-12"}, Kubernetes: true, Daemon: onEvent(func(*event) bool { return false }),
		Fault: "there are no events"},
	{Name: "events-of-success-only", Cases: []string{"NET-12"}, Kubernetes: true, Daemon: onEvent(func(e *event) bool { return e.eventType == cluster.EventNormal }),
		Fault: "there is no event of an ADD that failed"},
	{Name: "events-without-network", Cases: []string{"NET-12"}, Kubernetes: true, Daemon: onEvent(func(e *event) bool {
		if e.eventType == cluster.EventWarning {
			e.message = "the sandbox could not be attached to its networks"
		}
		return true
	}), Fault: "the warning does not say which network failed"},
	{Name: "events-without-uid", Cases: []string{"NET-12"}, Kubernetes: true, Daemon: onEvent(func(e *event) bool {
		e.pod.UID = ""
		return true
	}), Fault: "events do not say which pod of its name they are about"},
	{Name: "definitions-stale", Cases: []string{"NET-13"}, Kubernetes: true, Daemon: definitionsStale,
		Fault: "a definition that is known is not asked for, however late that knowledge is"},
	{Name: "definitions-unknown-are-missing", Cases: []string{"NET-13", "NET-29"}, Kubernetes: true, Daemon: definitionsUnknown,
		Fault: "a definition that is not known is not asked for"},
	{Name: "mirror-pods-refused", Cases: []string{"NET-13"}, Kubernetes: true, Daemon: mirrorPodsRefused,
		Fault: "the pod of a static pod is taken for another one, because its mirror has another UID"},
}

func statusPerNetwork(a *seam.Assembly) {
	a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *seam.ApiLayer) error {
		for n := range status {
			if err := next.PublishStatus(ctx, pod, status[:n+1]); err != nil {
				return err
			}
		}
		return nil
	})
}

func statusReadsFirst(a *seam.Assembly) {
	a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *seam.ApiLayer) error {
		if _, err := next.LivePod(ctx, pod.Namespace, pod.Name); err != nil {
			return err
		}
		return next.PublishStatus(ctx, pod, status)
	})
}

// statusOnce writes the status in one request, which is not tried again; failed
// says what becomes of its error.
func statusOnce(failed func(error) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, _ *seam.ApiLayer) error {
			text, err := json.Marshal(status)
			if err != nil {
				return err
			}
			patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/metadata/annotations/k8s.v1.cni.cncf.io~1network-status", "value": string(text)}})
			if err != nil {
				return err
			}
			if err := patchStatus(ctx, a.Config.Kubeconfig, pod, patch); err != nil {
				return failed(err)
			}
			return nil
		})
	}
}

// statusReplacesAnnotations writes all annotations that the daemon knows of,
// in one request.
func statusReplacesAnnotations(a *seam.Assembly) {
	const annotation = "k8s.v1.cni.cncf.io/network-status"
	a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, _ *seam.ApiLayer) error {
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
		return patchStatus(ctx, a.Config.Kubeconfig, pod, patch)
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
	*seam.ApiLayer
	keep func(e *event) bool
}

// Event implements cluster.Recorder.
func (r *recording) Event(pod *cluster.Pod, eventType, reason, message string) {
	if e := (&event{*pod, eventType, reason, message}); r.keep(e) {
		r.ApiLayer.Event(&e.pod, e.eventType, e.reason, e.message)
	}
}

// onEvent has f called with each event; those that it is not true for are
// dropped.
func onEvent(f func(e *event) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &recording{next, f} })
	}
}

func definitionsStale(a *seam.Assembly) {
	a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &stale{next} })
}

// stale is a cluster that never asks for a definition that it knows.
type stale struct{ *seam.ApiLayer }

// Definition implements cluster.Cluster.
func (s *stale) Definition(ctx context.Context, namespace, name string) (*cluster.Definition, error) {
	d, err := s.ApiLayer.Definition(withoutValues{ctx}, namespace, name)
	if errors.Is(err, cluster.ErrNotFound) {
		return s.ApiLayer.Definition(ctx, namespace, name)
	}
	return d, err
}

func definitionsUnknown(a *seam.Assembly) {
	a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &unasked{next} })
}

// unasked is a cluster that never asks for a definition that it does not know.
type unasked struct{ *seam.ApiLayer }

// Definition implements cluster.Cluster.
func (u *unasked) Definition(ctx context.Context, namespace, name string) (*cluster.Definition, error) {
	d, err := u.ApiLayer.Definition(withoutValues{ctx}, namespace, name)
	if errors.Is(err, cluster.ErrNotFound) {
		return d, err
	}
	return u.ApiLayer.Definition(ctx, namespace, name)
}

// withoutValues is a context that has forgotten which pod a look-up is for.
type withoutValues struct{ context.Context }

// Value implements context.Context.
func (withoutValues) Value(any) any { return nil }

func mirrorPodsRefused(a *seam.Assembly) {
	a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &unmirrored{next} })
}

// unmirrored is a cluster whose pods do not show which static pod they stand for.
type unmirrored struct{ *seam.ApiLayer }

// Pod implements cluster.Cluster.
func (u *unmirrored) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return withoutMirror(u.ApiLayer.Pod(ctx, namespace, name))
}

// LivePod implements cluster.LiveCluster.
func (u *unmirrored) LivePod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return withoutMirror(u.ApiLayer.LivePod(ctx, namespace, name))
}

func withoutMirror(pod *cluster.Pod, err error) (*cluster.Pod, error) {
	if err != nil {
		return nil, err
	}
	delete(pod.Annotations, "kubernetes.io/config.mirror")
	return pod, nil
}
