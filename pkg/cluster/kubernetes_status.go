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
// in the patch, so that a pod of the same name that came after it is refused. An
// account that may not patch updates the status instead.
func (k *Kubernetes) PublishStatus(ctx context.Context, pod *Pod, status []NetworkStatus) error {
	k.withdrawals.cancel(key{pod.Namespace, pod.Name})
	return k.writeStatus(ctx,
		func() error { return k.publishByPatch(ctx, pod, status) },
		func() error { return k.publishByUpdate(ctx, pod, status) })
}

// writeStatus writes in the way that the account may, and tries the other one
// when that is refused: rights change while the daemon runs.
func (k *Kubernetes) writeStatus(ctx context.Context, patch, update func() error) error {
	write := map[statusVerb]func() error{byPatch: patch, byUpdate: update}
	by := k.rights.statusVerb()
	err := write[by]()
	if apierrors.IsForbidden(err) && k.refused(ctx, by) {
		err = write[k.rights.statusVerb()]()
	}
	return err
}

// IsRefused reports whether an error means that the API server will never take
// what was asked of it, however often it is asked.
func IsRefused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// IsForbidden reports that the daemon's account may not write what it was to
// write, until somebody grants it the right.
func IsForbidden(err error) bool { return apierrors.IsForbidden(err) }

// metadataOnly asks for no more of an object than its metadata, and for that
// only because there is no answer without an object: the pod that a patch is
// answered with costs the API server a tenth of the patch.
const metadataOnly = contentProtobuf + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1," + contentProtobuf + "," + contentJSON

// patchStatus changes a pod through its subresource status.
func (k *Kubernetes) patchStatus(ctx context.Context, pod *Pod, kind types.PatchType, patch []byte) error {
	what := fmt.Sprintf("network status of pod %s/%s", pod.Namespace, pod.Name)
	return k.ask(ctx, "patch pods/status, for", what, func(ctx context.Context) error {
		return k.clients.core.Patch(kind).Namespace(pod.Namespace).Resource(podResource.Resource).Name(pod.Name).
			SubResource("status").SetHeader("Accept", metadataOnly).Body(patch).Do(ctx).Error()
	})
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
