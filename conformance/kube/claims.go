// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/thicket-cni/thicket/conformance/node"
)

// draDriver is the name of the cases' DRA driver, which nobody runs.
const draDriver = "nics.conformance.thicket-cni.io"

// Published is a device as a DRA driver publishes it.
type Published struct {
	Name string
	// ID and Resource are for network definitions; a device without is none of
	// theirs.
	ID, Resource string
}

// PublishDevices makes a ResourceSlice: the devices of a pool, as of a
// generation, on the case's node or, with anyNode, for all nodes.
func (w *World) PublishDevices(pool string, generation int64, anyNode bool, devices ...Published) {
	ginkgo.GinkgoHelper()
	slice := &resourcev1.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "slice-" + node.RandomHex(4), Labels: w.labels},
		Spec: resourcev1.ResourceSliceSpec{
			Driver: draDriver, Pool: resourcev1.ResourcePool{Name: pool, Generation: generation, ResourceSliceCount: 1},
		},
	}
	if anyNode {
		slice.Spec.AllNodes = &anyNode
	} else {
		slice.Spec.NodeName = &w.node
	}
	for _, d := range devices {
		device := resourcev1.Device{Name: d.Name, Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"model": {StringValue: &d.Name}}}
		for name, value := range map[resourcev1.QualifiedName]string{"k8s.cni.cncf.io/deviceID": d.ID, "k8s.cni.cncf.io/resourceName": d.Resource} {
			if value != "" {
				device.Attributes[name] = resourcev1.DeviceAttribute{StringValue: &value}
			}
		}
		slice.Spec.Devices = append(slice.Spec.Devices, device)
	}
	Expect(Call(func(ctx context.Context) error {
		_, err := w.Client.ResourceV1().ResourceSlices().Create(ctx, slice, metav1.CreateOptions{})
		return err
	})).To(Succeed(), "a ResourceSlice")
}

// Allocate makes a ResourceClaim with one request, "vf", and gives it devices,
// as the scheduler does; owner is the pod that it was made for, nil for a claim
// of its own.
func (w *World) Allocate(claim, pool string, owner *corev1.Pod, devices ...string) {
	ginkgo.GinkgoHelper()
	object := &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim, Namespace: w.Namespace, Labels: w.labels},
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
			Name: "vf", Exactly: &resourcev1.ExactDeviceRequest{
				DeviceClassName: draDriver, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: int64(len(devices)),
			},
		}}}},
	}
	if owner != nil {
		object.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, corev1.SchemeGroupVersion.WithKind("Pod"))}
	}
	Expect(Call(func(ctx context.Context) error {
		claims := w.Client.ResourceV1().ResourceClaims(w.Namespace)
		made, err := claims.Create(ctx, object, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		made.Status.Allocation = &resourcev1.AllocationResult{}
		for _, d := range devices {
			made.Status.Allocation.Devices.Results = append(made.Status.Allocation.Devices.Results,
				resourcev1.DeviceRequestAllocationResult{Request: "vf", Driver: draDriver, Pool: pool, Device: d})
		}
		_, err = claims.UpdateStatus(ctx, made, metav1.UpdateOptions{})
		return err
	})).To(Succeed(), "ResourceClaim %s", claim)
}

// Claiming makes the pod of a sandbox as one with claims comes about: it is
// made, its claims are, its status says so, and then it is bound to the node.
// asks puts into it what it asks for; ready makes claims and says what of them
// is in the status.
func (w *World) Claiming(s *node.Sandbox, annotations map[string]string, asks func(*corev1.PodSpec), ready func(*corev1.Pod) corev1.PodStatus) corev1.PodStatus {
	ginkgo.GinkgoHelper()
	pod := w.pod(s, annotations)
	// Nobody but the suite binds it.
	pod.Spec.NodeName, pod.Spec.SchedulerName = "", "conformance"
	asks(&pod.Spec)
	pods := w.Client.CoreV1().Pods(s.PodNamespace)
	Expect(Call(func(ctx context.Context) (err error) {
		pod, err = pods.Create(ctx, pod, metav1.CreateOptions{})
		return err
	})).To(Succeed(), "pod %s", s.PodName)
	s.PodUID = string(pod.UID)
	pod.Status = ready(pod)
	Expect(Call(func(ctx context.Context) (err error) {
		pod, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		if err != nil {
			return err
		}
		return pods.Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: s.PodName, Namespace: s.PodNamespace},
			Target:     corev1.ObjectReference{Kind: "Node", Name: w.node},
		}, metav1.CreateOptions{})
	})).To(Succeed(), "pod %s", s.PodName)
	return pod.Status
}
