// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// The devices of the case's driver.
const (
	poolOfNode = "node-pool"
	poolOfAll  = "all-pool"
)

// devicesByClaims is the part of NET-14 about resource claims
// (resource.k8s.io/v1). The kubelet lists no device of theirs.
func devicesByClaims(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	w := e.Api()
	// A driver that renews its pool leaves slices of the older generation for a
	// moment.
	w.PublishDevices(poolOfNode, 1, false, kube.Published{Name: "vf1", ID: "0000:00:00.1", Resource: nicResource}, kube.Published{Name: "vf2", ID: "0000:00:00.2", Resource: ibResource})
	w.PublishDevices(poolOfNode, 2, false, kube.Published{Name: "vf1", ID: "0000:06:00.1", Resource: nicResource}, kube.Published{Name: "vf2", ID: "0000:06:00.2", Resource: nicResource},
		kube.Published{Name: "vf3", ID: "0000:06:00.3", Resource: ibResource}, kube.Published{Name: "vf4", ID: "0000:06:00.4", Resource: nicResource}, kube.Published{Name: "gpu", ID: "", Resource: ""})
	w.PublishDevices(poolOfAll, 1, true, kube.Published{Name: "vf1", ID: "fabric-7", Resource: ibResource})
	claimsOfTemplates(ctx, e, w)
	extendedByClaim(ctx, e, w)
}

// claimsOfTemplates has claims of its own, one that was made from a template,
// and devices that belong to no network.
func claimsOfTemplates(ctx context.Context, e *thick.Env, w *kube.World) {
	ginkgo.GinkgoHelper()
	ginkgo.By("resource claims")
	own, fabric, made, template := "own-"+node.RandomHex(3), "fabric-"+node.RandomHex(3), "made-"+node.RandomHex(3), "template"
	w.Allocate(own, poolOfNode, nil, "vf4", "gpu")
	w.Allocate(fabric, poolOfAll, nil, "vf1")
	s := e.Sandbox(node.WithoutPod())
	networks := map[string]string{"k8s.v1.cni.cncf.io/networks": "nic,ib,nic@data0,plain,nic"}
	w.Claiming(s, networks, func(spec *corev1.PodSpec) {
		spec.ResourceClaims = []corev1.PodResourceClaim{
			{Name: "first", ResourceClaimName: &own}, {Name: "second", ResourceClaimTemplateName: &template}, {Name: "third", ResourceClaimName: &fabric},
		}
	}, func(p *corev1.Pod) corev1.PodStatus {
		w.Allocate(made, poolOfNode, p, "vf2", "vf1")
		return corev1.PodStatus{ResourceClaimStatuses: []corev1.PodResourceClaimStatus{{Name: "second", ResourceClaimName: &made}}}
	})
	e.MustOK(e.Add(ctx, s))
	want := e.DevicesOf("ADD", s)
	expectHandedOut(want, map[string][]string{"": {"eth0", "net4"}, "fabric-7": {"net2"}}, []string{"net1", "data0", "net5"},
		"0000:06:00.1", "0000:06:00.2", "0000:06:00.4")
	ginkgo.By("DEL without the API server")
	e.ClusterAway()
	defer e.ClusterBack()
	e.MustOK(e.Del(ctx, s))
	Expect(e.DevicesOf("DEL", s)).To(Equal(want), "device ids that delegates got at DEL, by interface")
}

// extendedByClaim has a claim that the scheduler made for an extended resource
// that a DRA driver serves.
func extendedByClaim(ctx context.Context, e *thick.Env, w *kube.World) {
	ginkgo.GinkgoHelper()
	ginkgo.By("an extended resource that a claim serves")
	claim := "extended-" + node.RandomHex(3)
	s := e.Sandbox(node.WithoutPod())
	status := w.Claiming(s, map[string]string{"k8s.v1.cni.cncf.io/networks": "ib"}, func(spec *corev1.PodSpec) {
		one := corev1.ResourceList{ibResource: resource.MustParse("1")}
		spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: one, Limits: one}
	}, func(p *corev1.Pod) corev1.PodStatus {
		w.Allocate(claim, poolOfNode, p, "vf3")
		return corev1.PodStatus{ExtendedResourceClaimStatus: &corev1.PodExtendedResourceClaimStatus{
			ResourceClaimName: claim,
			RequestMappings:   []corev1.ContainerExtendedResourceRequest{{ContainerName: "never-run", ResourceName: ibResource, RequestName: "vf"}},
		}}
	})
	if status.ExtendedResourceClaimStatus == nil {
		e.Notef("extended resources by claims were not looked at: the API server has its feature gate DRAExtendedResource off")
		return
	}
	e.MustOK(e.Add(ctx, s))
	Expect(e.DevicesOf("ADD", s)).To(Equal(map[string]string{"eth0": "", "net1": "0000:06:00.3"}), "device ids that delegates got at ADD, by interface")
	e.MustOK(e.Del(ctx, s))
}
