// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// patience is how long one request goes on asking an API server that is
	// away: long enough for it to be replaced by its neighbour behind a load
	// balancer, short enough for the runtime to hear of it before its own limit.
	patience = 15 * time.Second
	// attemptTimeout is how long one answer may take.
	attemptTimeout = 5 * time.Second
)

// Pod implements Cluster. A pod that is not known is looked up.
func (k *Kubernetes) Pod(ctx context.Context, namespace, name string) (*Pod, error) {
	if p, ok := k.pods.get(key{namespace, name}); ok {
		own := *p
		own.Annotations = maps.Clone(p.Annotations)
		return &own, nil
	}
	return k.LivePod(ctx, namespace, name)
}

// LivePod implements LiveCluster.
func (k *Kubernetes) LivePod(ctx context.Context, namespace, name string) (*Pod, error) {
	what := fmt.Sprintf("pod %s/%s", namespace, name)
	if needOf(ctx).offline {
		return nil, fmt.Errorf("%s is not among the pods that are known of node %s", what, k.options.NodeName)
	}
	if !ValidNamespace(namespace) || !ValidName(name) {
		return nil, fmt.Errorf("%s: %w: not a pod's name", what, ErrNotFound)
	}
	var p corev1.Pod
	err := k.ask(ctx, "get", what, func(ctx context.Context) error {
		return k.live(ctx, func(ctx context.Context) error {
			return k.clients.core.Get().Namespace(namespace).Resource(podResource.Resource).Name(name).Do(ctx).Into(&p)
		})
	})
	if err != nil {
		return nil, err
	}
	if p.Spec.NodeName != "" && p.Spec.NodeName != k.options.NodeName {
		k.log.Warn("a pod of another node; is the node's name right?", "pod", namespace+"/"+name, "itsNode", p.Spec.NodeName, "nodeName", k.options.NodeName)
	}
	pod := podOf(&p)
	pod.status = p.Annotations[statusAnnotation]
	return pod, nil
}

// Definition implements Cluster. Under ForPod it is looked up when what is
// known of it may be older than the pod, and when nothing is known of it: it may
// have been made after the pod, a moment before its ADD (NET-29).
func (k *Kubernetes) Definition(ctx context.Context, namespace, name string) (*Definition, error) {
	what := fmt.Sprintf("network definition %s/%s", namespace, name)
	need, at := needOf(ctx), key{namespace, name}
	select {
	case <-k.definitions.synced():
	default:
		return nil, fmt.Errorf("%s: waiting for %s", what, k.Waiting())
	}
	d, sure := k.definitions.get(at, need.since)
	if !sure && need.offline {
		return nil, fmt.Errorf("%s is too large to be remembered, and nobody is asked now", what)
	}
	if !sure || d == nil && !need.elsewhere && !need.since.seen.IsZero() {
		var err error
		if d, err = k.liveDefinition(ctx, at, need.since, what); err != nil {
			return nil, err
		}
	}
	if d == nil {
		return nil, fmt.Errorf("%s: %w in the API server %s", what, ErrNotFound, k.host)
	}
	return d, nil
}

// liveDefinition asks for a definition and remembers the answer; nil when
// there is none.
func (k *Kubernetes) liveDefinition(ctx context.Context, at key, since moment, what string) (*Definition, error) {
	if !ValidNamespace(at.namespace) || !ValidName(at.name) {
		return nil, nil
	}
	found := &nadv1.NetworkAttachmentDefinition{}
	err := k.ask(ctx, "get", what, func(ctx context.Context) error {
		return k.live(ctx, func(ctx context.Context) error {
			return k.clients.definitions.Get().Namespace(at.namespace).Resource(definitionResource.Resource).Name(at.name).Do(ctx).Into(found)
		})
	})
	switch {
	case errors.Is(err, ErrNotFound):
		k.definitions.confirm(at, nil, since)
		return nil, nil
	case err != nil:
		return nil, err
	}
	trimmed, _ := trimDefinition(found)
	found, _ = trimmed.(*nadv1.NetworkAttachmentDefinition)
	k.definitions.confirm(at, found, since)
	return newCachedDefinition(found).definition(at), nil
}

// ask makes one request, again and again while the API server is away, until
// ctx ends or patience is over. Its errors name the server and the way out;
// that of an object that is not there wraps ErrNotFound.
func (k *Kubernetes) ask(ctx context.Context, verb, what string, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pause := wait.Backoff{Duration: 50 * time.Millisecond, Factor: 2, Jitter: 0.3, Steps: math.MaxInt32, Cap: 2 * time.Second}
	for {
		err := attempt(ctx, request)
		if err == nil {
			return nil
		}
		if !transient(err) || ctx.Err() != nil {
			return fmt.Errorf("%s: API server %s: %w", what, k.host, explain(err, verb, what))
		}
		k.retries.Add(1)
		next := time.NewTimer(pause.Step())
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return fmt.Errorf("%s: API server %s: %w", what, k.host, explain(err, verb, what))
		}
	}
}

func attempt(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return request(ctx)
}

// transient says whether the same request may succeed a little later. What is
// no answer of the API server at all, is: it is away, or what is between.
func transient(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	code := status.Status().Code
	return code >= 500 || code == 0 || apierrors.IsTooManyRequests(err) || apierrors.IsTimeout(err) ||
		// A token that was renewed, or is not known to every API server yet.
		apierrors.IsUnauthorized(err)
}

// explain says what to do about an API server's refusal.
func explain(err error, verb, what string) error {
	var status apierrors.APIStatus
	switch {
	case apierrors.IsNotFound(err) && verb == "list and watch":
		return fmt.Errorf("%w; install the CustomResourceDefinition network-attachment-definitions.k8s.cni.cncf.io", err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w (%s)", ErrNotFound, err.Error())
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; let the daemon's account %s them (RBAC)", err, verb)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w; renew the daemon's token or certificate", err)
	case errors.As(err, &status):
		return err
	}
	return fmt.Errorf("%w; is it running, and can this node reach it?", err)
}
