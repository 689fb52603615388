// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// updatePause is the mean pause before a pod is read and written again because
// somebody else wrote it in between, as its kubelet does while it starts.
const updatePause = 20 * time.Millisecond

// errOtherStatus says that a pod has another status than the one to be removed.
var errOtherStatus = errors.New("the pod has another network status")

// updateStatus writes the status annotation of this very pod by an update of its
// subresource status. change makes the new text of the former one: no
// text removes the annotation, and an error leaves the pod as it is.
func (k *Kubernetes) updateStatus(ctx context.Context, pod *Pod, change func(former string) (string, error)) error {
	what := fmt.Sprintf("network status of pod %s/%s", pod.Namespace, pod.Name)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := k.updateOnce(ctx, pod, what, change)
		if !apierrors.IsConflict(err) {
			return err
		}
		k.retries.Add(1)
		if !pausing(ctx, wait.Jitter(updatePause/2, 2)) {
			return err
		}
	}
}

func (k *Kubernetes) updateOnce(ctx context.Context, pod *Pod, what string, change func(former string) (string, error)) error {
	object, err := k.readPod(ctx, pod, what)
	if err != nil {
		return err
	}
	metadata, _ := object["metadata"].(map[string]any)
	if uid, _ := metadata["uid"].(string); pod.UID != "" && uid != pod.UID {
		return fmt.Errorf("%s: %w with UID %s", what, ErrNotFound, pod.UID)
	}
	annotations, _ := metadata["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	former, _ := annotations[statusAnnotation].(string)
	text, err := change(former)
	if err != nil {
		return err
	}
	annotations[statusAnnotation] = text
	if text == "" {
		delete(annotations, statusAnnotation)
	}
	metadata["annotations"] = annotations
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return k.ask(ctx, "update pods/status, for", what, func(ctx context.Context) error {
		return k.clients.core.Put().Namespace(pod.Namespace).Resource(podResource.Resource).Name(pod.Name).SubResource("status").
			SetHeader("Content-Type", contentJSON).SetHeader("Accept", metadataOnly).Body(body).Do(ctx).Error()
	})
}

// readPod reads a pod as JSON, so that fields which are newer than this program
// are written back as they were.
func (k *Kubernetes) readPod(ctx context.Context, pod *Pod, what string) (object map[string]any, err error) {
	var data []byte
	err = k.ask(ctx, "get", what, func(ctx context.Context) (err error) {
		data, err = k.clients.core.Get().Namespace(pod.Namespace).Resource(podResource.Resource).Name(pod.Name).
			SetHeader("Accept", contentJSON).Do(ctx).Raw()
		return err
	})
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return object, nil
}

// publishByUpdate is PublishStatus for an account that may not patch.
func (k *Kubernetes) publishByUpdate(ctx context.Context, pod *Pod, status []NetworkStatus) error {
	text, err := statusText(status)
	if err != nil {
		return fmt.Errorf("network status of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return k.updateStatus(ctx, pod, func(string) (string, error) { return text, nil })
}

// withdrawByUpdate is withdraw for an account that may not patch.
func (k *Kubernetes) withdrawByUpdate(ctx context.Context, pod *Pod, text string) error {
	return k.updateStatus(ctx, pod, func(former string) (string, error) {
		if former != text {
			return "", errOtherStatus
		}
		return "", nil
	})
}

// publishByPatch writes the status in one request.
func (k *Kubernetes) publishByPatch(ctx context.Context, pod *Pod, status []NetworkStatus) error {
	patch, err := statusPatch(pod, status)
	if err != nil {
		return fmt.Errorf("network status of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := k.patchStatus(ctx, pod, types.MergePatchType, patch)
		if !apierrors.IsConflict(err) {
			return err
		}
		// The patch names the pod's UID, and one of another pod is a conflict. So
		// is what an admission webhook or a server under load calls one.
		if other := k.otherPod(ctx, pod); other != nil {
			return errors.Join(other, err)
		}
		k.retries.Add(1)
		if !pausing(ctx, wait.Jitter(updatePause/2, 2)) {
			return err
		}
	}
}

// otherPod returns an error that wraps ErrNotFound when the pod is gone, or has
// another UID now; nil also when that cannot be found out.
func (k *Kubernetes) otherPod(ctx context.Context, pod *Pod) error {
	what := fmt.Sprintf("network status of pod %s/%s", pod.Namespace, pod.Name)
	object, err := k.readPod(ctx, pod, what)
	if errors.Is(err, ErrNotFound) {
		return err
	}
	metadata, _ := object["metadata"].(map[string]any)
	if uid, _ := metadata["uid"].(string); err == nil && pod.UID != "" && uid != pod.UID {
		return fmt.Errorf("%s: %w with UID %s", what, ErrNotFound, pod.UID)
	}
	return nil
}
