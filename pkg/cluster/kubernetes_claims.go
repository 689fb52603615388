// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
)

// podClaims are the resource claims of a pod. It is not changed once made.
type podClaims struct {
	// named are those of spec.resourceClaims.
	named []podClaim
	// extended is the claim that the scheduler made for extended resources that
	// a DRA driver serves, "" for none, and byRequest the resource that each of
	// its requests stands for.
	extended  string
	byRequest map[string]string
}

// podClaim is a claim under the name that the pod has for it; claim is empty
// as long as it was not made of its template.
type podClaim struct{ name, claim string }

// claimsOf reads the claims of a pod, nil when it has none.
func claimsOf(p *corev1.Pod) *podClaims {
	extended := p.Status.ExtendedResourceClaimStatus
	if len(p.Spec.ResourceClaims) == 0 && extended == nil {
		return nil
	}
	c := &podClaims{}
	for _, r := range p.Spec.ResourceClaims {
		if r.ResourceClaimName != nil {
			c.named = append(c.named, podClaim{strings.Clone(r.Name), strings.Clone(*r.ResourceClaimName)})
			continue
		}
		at := slices.IndexFunc(p.Status.ResourceClaimStatuses, func(s corev1.PodResourceClaimStatus) bool { return s.Name == r.Name })
		switch {
		case at < 0:
			c.named = append(c.named, podClaim{name: strings.Clone(r.Name)})
		case p.Status.ResourceClaimStatuses[at].ResourceClaimName != nil:
			c.named = append(c.named, podClaim{strings.Clone(r.Name), strings.Clone(*p.Status.ResourceClaimStatuses[at].ResourceClaimName)})
		default:
			// No claim was needed (API of pods, resourceClaimStatuses).
		}
	}
	if extended != nil {
		c.extended, c.byRequest = strings.Clone(extended.ResourceClaimName), map[string]string{}
		for _, m := range extended.RequestMappings {
			c.byRequest[strings.Clone(m.RequestName)] = strings.Clone(m.ResourceName)
		}
	}
	return c
}

// pending is a claim that was not made yet when the pod was heard of.
func (c *podClaims) pending() (name string, found bool) {
	if c == nil {
		return "", false
	}
	at := slices.IndexFunc(c.named, func(n podClaim) bool { return n.claim == "" })
	if at < 0 {
		return "", false
	}
	return c.named[at].name, true
}

// ClaimedDevices implements Claims. What is known of the pod says which claims
// it has; claims and slices are looked up each time, since they are few and
// nobody else on the node would read them.
func (k *Kubernetes) ClaimedDevices(ctx context.Context, pod *Pod) ([]Device, error) {
	claims := pod.claims
	if claims == nil {
		return nil, nil
	}
	if needOf(ctx).offline {
		return nil, fmt.Errorf("resource claims of pod %s/%s: they are not known without the API server", pod.Namespace, pod.Name)
	}
	if _, pending := claims.pending(); pending {
		now, err := k.LivePod(ctx, pod.Namespace, pod.Name)
		if err != nil {
			return nil, err
		}
		claims = now.claims
	}
	if name, pending := claims.pending(); pending {
		return nil, fmt.Errorf("resource claim %q of pod %s/%s was not made yet", name, pod.Namespace, pod.Name)
	}
	if claims == nil {
		return nil, nil
	}
	return k.devicesOf(ctx, pod.Namespace, claims)
}

func (k *Kubernetes) devicesOf(ctx context.Context, namespace string, claims *podClaims) ([]Device, error) {
	published := newPublished(k)
	var all []Device
	for _, c := range claims.named {
		own, err := k.devicesOfClaim(ctx, published, namespace, c.claim, func(resource, request string) string {
			if resource != "" {
				return resource
			}
			// A request has subrequests as request/subrequest.
			request, _, _ = strings.Cut(request, "/")
			return c.name + "/" + request
		})
		if err != nil {
			return nil, err
		}
		all = append(all, own...)
	}
	if claims.extended == "" {
		return all, nil
	}
	own, err := k.devicesOfClaim(ctx, published, namespace, claims.extended, func(_, request string) string { return claims.byRequest[request] })
	return append(all, own...), err
}

// devicesOfClaim returns what a claim has been given, sorted (NET-26). resource
// names a device's resource by the one that it is published with and by the
// claim's request. A device without an id is nothing to attach by, and left
// out: a claim may be about more than networks.
func (k *Kubernetes) devicesOfClaim(ctx context.Context, p *published, namespace, claim string, resource func(resource, request string) string) ([]Device, error) {
	results, err := k.allocated(ctx, namespace, claim)
	if err != nil {
		return nil, err
	}
	var all []Device
	for _, r := range results {
		d, err := p.device(ctx, &r)
		if err != nil {
			return nil, err
		}
		if d.Resource = resource(d.Resource, r.Request); d.ID != "" && d.Resource != "" {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b Device) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// allocated returns what a claim has been given.
func (k *Kubernetes) allocated(ctx context.Context, namespace, name string) ([]resourcev1.DeviceRequestAllocationResult, error) {
	what := fmt.Sprintf("resource claim %s/%s", namespace, name)
	if !ValidNamespace(namespace) || !ValidName(name) {
		return nil, fmt.Errorf("%s: this is no name of a claim", what)
	}
	var claim resourcev1.ResourceClaim
	err := k.ask(ctx, "get", what, func(ctx context.Context) error {
		return k.clients.claims.Get().Namespace(namespace).Resource("resourceclaims").Name(name).Do(ctx).Into(&claim)
	})
	if err != nil {
		return nil, missingClaim(err)
	}
	if claim.Status.Allocation == nil {
		return nil, fmt.Errorf("%s: no device is allocated to it yet", what)
	}
	return claim.Status.Allocation.Devices.Results, nil
}

// missingClaim is err for who asks for a pod: that a claim is not there does
// not mean that a pod or a definition is not.
func missingClaim(err error) error {
	if errors.Is(err, ErrNotFound) {
		return errors.New(err.Error())
	}
	return err
}
