// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"github.com/thicket-cni/thicket/pkg/brief"
)

// recorder sends events in the background: it has a queue of limited length,
// drops what does not fit, and lets no pod fill it alone (client-go's record).
type recorder struct {
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
}

func newRecorder(core *rest.RESTClient, node string) *recorder {
	b := record.NewBroadcaster()
	b.StartRecordingToSink(&eventSink{core})
	return &recorder{b, b.NewRecorder(scheme, corev1.EventSource{Component: "thicket", Host: node})}
}

func (r *recorder) shutdown() { r.broadcaster.Shutdown() }

// Event implements Recorder.
func (k *Kubernetes) Event(pod *Pod, eventType, reason, message string) {
	k.events.recorder.Event(&corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: types.UID(pod.UID),
	}, eventType, reason, brief.Shown(message))
}

// eventSink implements record.EventSink, whose methods have no context.
type eventSink struct{ core *rest.RESTClient }

func (s *eventSink) do(r *rest.Request) (*corev1.Event, error) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	into := &corev1.Event{}
	return into, r.Resource("events").Do(ctx).Into(into)
}

// Create implements record.EventSink.
func (s *eventSink) Create(e *corev1.Event) (*corev1.Event, error) {
	return s.do(s.core.Post().Namespace(e.Namespace).Body(e))
}

// Update implements record.EventSink.
func (s *eventSink) Update(e *corev1.Event) (*corev1.Event, error) {
	return s.do(s.core.Put().Namespace(e.Namespace).Name(e.Name).Body(e))
}

// Patch implements record.EventSink.
func (s *eventSink) Patch(old *corev1.Event, data []byte) (*corev1.Event, error) {
	return s.do(s.core.Patch(types.StrategicMergePatchType).Namespace(old.Namespace).Name(old.Name).Body(data))
}
