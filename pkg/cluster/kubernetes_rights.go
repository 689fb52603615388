// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rightsPause is how often missing rights are asked for again.
const rightsPause = 2 * time.Second

// statusVerb is how pods' status is written.
type statusVerb string

const (
	// byPatch needs one request and no look at the pod.
	byPatch statusVerb = "patch"
	// byUpdate is for accounts with Multus' rights, which have no patch.
	byUpdate statusVerb = "update"
)

// rights remembers what the daemon's account may do. An account without the right
// to publish a pod's status cannot attach any: that is found out at the start,
// and not by the first pod (ST-03).
type rights struct {
	mu     sync.Mutex
	status statusVerb
	// lost says that a status was refused.
	lost chan struct{}
}

func newRights() *rights { return &rights{status: byPatch, lost: make(chan struct{}, 1)} }

func (r *rights) statusVerb() statusVerb {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// set takes a new verb and reports whether it is another one.
func (r *rights) set(verb statusVerb) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed = verb != r.status
	r.status = verb
	return changed
}

// followRights waits for rights that were lost. Meanwhile the daemon says so, and is
// not ready.
func (k *Kubernetes) followRights(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.rights.lost:
		}
		if k.awaitRights(ctx) == nil {
			k.setWaiting("")
		}
	}
}

// awaitRights returns when the account may write pods' status; an error means
// that ctx ended.
func (k *Kubernetes) awaitRights(ctx context.Context) error {
	for {
		verb, err := k.findStatusVerb(ctx)
		if err == nil {
			k.use(verb)
			return nil
		}
		k.waitsFor("the right to write the status of pods", err)
		if !pausing(ctx, rightsPause) {
			return context.Cause(ctx)
		}
	}
}

// warnOfRights says in the log which rights are missing that only some pods need:
// what came to be a moment ago is looked up, and not waited for (NET-13).
func (k *Kubernetes) warnOfRights(ctx context.Context) {
	for _, of := range []schema.GroupResource{podResource, definitionResource} {
		if allowed, err := k.may(ctx, "get", of, ""); err == nil && !allowed {
			k.log.Warn("an ADD that needs what is not known yet will fail: let the daemon's account get them (RBAC)", "resource", of.String())
		}
	}
}

// findStatusVerb asks the API server what the account may do.
func (k *Kubernetes) findStatusVerb(ctx context.Context) (statusVerb, error) {
	patch, err := k.may(ctx, "patch", podResource, "status")
	if err != nil || patch {
		return byPatch, err
	}
	get, err := k.may(ctx, "get", podResource, "")
	if err != nil {
		return "", err
	}
	update, err := k.may(ctx, "update", podResource, "status")
	if err != nil || get && update {
		return byUpdate, err
	}
	return "", fmt.Errorf("let the daemon's account patch pods/status (RBAC), or get pods and update pods/status")
}

// may reports whether the account may do something to objects of all namespaces. An
// API server that does not tell is taken at its word later.
func (k *Kubernetes) may(ctx context.Context, verb string, of schema.GroupResource, subresource string) (allowed bool, err error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
		"spec": map[string]any{"resourceAttributes": map[string]any{"verb": verb, "group": of.Group, "resource": of.Resource, "subresource": subresource}},
	})
	if err != nil {
		return false, err
	}
	err = attempt(ctx, func(ctx context.Context) error {
		answer, err := k.clients.core.Post().AbsPath("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").
			SetHeader("Content-Type", contentJSON).SetHeader("Accept", contentJSON).Body(body).Do(ctx).Raw()
		if err != nil {
			return err
		}
		var review struct {
			Status struct {
				Allowed bool `json:"allowed"`
			} `json:"status"`
		}
		err = json.Unmarshal(answer, &review)
		allowed = review.Status.Allowed
		return err
	})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
		return true, nil
	}
	if err != nil {
		return false, explain(err, "ask for", "its rights")
	}
	return allowed, nil
}

// use has the status of pods written in this way from now on.
func (k *Kubernetes) use(verb statusVerb) {
	if k.rights.set(verb) && verb == byUpdate {
		k.log.Info("the status of pods is written by update, and each pod is read before: grant patch of pods/status to save that")
	}
}

// refused is called when the API server refuses a status that is written in a
// way. It reports whether there is another way; without one the daemon waits for
// the right to come back.
func (k *Kubernetes) refused(ctx context.Context, by statusVerb) bool {
	verb, err := k.findStatusVerb(ctx)
	if err == nil {
		k.use(verb)
		return verb != by
	}
	select {
	case k.rights.lost <- struct{}{}:
	default:
	}
	return false
}
