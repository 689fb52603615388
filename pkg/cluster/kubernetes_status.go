// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// PublishStatus implements Cluster: one PATCH of the pod's annotation, through
// the subresource status, which needs the fewest rights; nothing is read
// before, and annotations of others are not touched (NET-10). The pod's UID is
// in the patch, so that a pod of the same name that came after it is refused.
func (k *Kubernetes) PublishStatus(ctx context.Context, pod *Pod, status []NetworkStatus) error {
	k.withdrawals.cancel(key{pod.Namespace, pod.Name})
	what := fmt.Sprintf("network status of pod %s/%s", pod.Namespace, pod.Name)
	patch, err := statusPatch(pod, status)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	err = k.ask(ctx, "patch pods/status, for", what, func(ctx context.Context) error {
		return k.clients.core.Patch(types.MergePatchType).Namespace(pod.Namespace).Resource(podResource.Resource).
			Name(pod.Name).SubResource("status").Body(patch).Do(ctx).Error()
	})
	if apierrors.IsConflict(err) {
		return fmt.Errorf("%w with UID %s: %w", ErrNotFound, pod.UID, err)
	}
	return err
}

// statusText is the annotation's value, indented as people read it with
// kubectl describe.
func statusText(status []NetworkStatus) (string, error) {
	value, err := json.MarshalIndent(status, "", "    ")
	return string(value), err
}

func statusPatch(pod *Pod, status []NetworkStatus) ([]byte, error) {
	value, err := statusText(status)
	if err != nil {
		return nil, err
	}
	type metadata struct {
		UID         string            `json:"uid,omitempty"`
		Annotations map[string]string `json:"annotations"`
	}
	return json.Marshal(struct {
		Metadata metadata `json:"metadata"`
	}{metadata{pod.UID, map[string]string{statusAnnotation: value}}})
}
