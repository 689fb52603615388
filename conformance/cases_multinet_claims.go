// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The devices of the case's driver.
const (
	poolOfNode = "node-pool"
	poolOfAll  = "all-pool"
)

// devicesByClaims is the part of NET-14 about resource claims
// (resource.k8s.io/v1). The kubelet lists no device of theirs.
func devicesByClaims(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	w := e.api()
	// A driver that renews its pool leaves slices of the older generation for a
	// moment.
	w.publishDevices(poolOfNode, 1, false, published{"vf1", "0000:00:00.1", nicResource}, published{"vf2", "0000:00:00.2", ibResource})
	w.publishDevices(poolOfNode, 2, false, published{"vf1", "0000:06:00.1", nicResource}, published{"vf2", "0000:06:00.2", nicResource},
		published{"vf3", "0000:06:00.3", ibResource}, published{"vf4", "0000:06:00.4", nicResource}, published{"gpu", "", ""})
	w.publishDevices(poolOfAll, 1, true, published{"vf1", "fabric-7", ibResource})
	claimsOfTemplates(ctx, e, w)
	extendedByClaim(ctx, e, w)
}

// claimsOfTemplates has claims of its own, one that was made from a template,
// and devices that are no network's.
func claimsOfTemplates(ctx context.Context, e *Env, w *apiWorld) {
	ginkgo.GinkgoHelper()
	ginkgo.By("resource claims")
	own, fabric, made, template := "own-"+randomHex(3), "fabric-"+randomHex(3), "made-"+randomHex(3), "template"
	w.allocate(own, poolOfNode, nil, "vf4", "gpu")
	w.allocate(fabric, poolOfAll, nil, "vf1")
	s := e.Sandbox(WithoutPod())
	networks := map[string]string{"k8s.v1.cni.cncf.io/networks": "nic,ib,nic@data0,plain,nic"}
	w.claiming(s, networks, func(spec *corev1.PodSpec) {
		spec.ResourceClaims = []corev1.PodResourceClaim{
			{Name: "first", ResourceClaimName: &own}, {Name: "second", ResourceClaimTemplateName: &template}, {Name: "third", ResourceClaimName: &fabric},
		}
	}, func(p *corev1.Pod) corev1.PodStatus {
		w.allocate(made, poolOfNode, p, "vf2", "vf1")
		return corev1.PodStatus{ResourceClaimStatuses: []corev1.PodResourceClaimStatus{{Name: "second", ResourceClaimName: &made}}}
	})
	e.MustOK(e.Add(ctx, s))
	want := e.devicesOf("ADD", s)
	expectHandedOut(want, map[string][]string{"": {"eth0", "net4"}, "fabric-7": {"net2"}}, []string{"net1", "data0", "net5"},
		"0000:06:00.1", "0000:06:00.2", "0000:06:00.4")
	ginkgo.By("DEL without the API server")
	e.ClusterAway()
	defer e.ClusterBack()
	e.MustOK(e.Del(ctx, s))
	Expect(e.devicesOf("DEL", s)).To(Equal(want))
}

// extendedByClaim has a claim that the scheduler made for an extended resource
// that a DRA driver serves.
func extendedByClaim(ctx context.Context, e *Env, w *apiWorld) {
	ginkgo.GinkgoHelper()
	ginkgo.By("an extended resource that a claim serves")
	claim := "extended-" + randomHex(3)
	s := e.Sandbox(WithoutPod())
	status := w.claiming(s, map[string]string{"k8s.v1.cni.cncf.io/networks": "ib"}, func(spec *corev1.PodSpec) {
		one := corev1.ResourceList{ibResource: resource.MustParse("1")}
		spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: one, Limits: one}
	}, func(p *corev1.Pod) corev1.PodStatus {
		w.allocate(claim, poolOfNode, p, "vf3")
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
	Expect(e.devicesOf("ADD", s)).To(Equal(map[string]string{"eth0": "", "net1": "0000:06:00.3"}))
	e.MustOK(e.Del(ctx, s))
}
