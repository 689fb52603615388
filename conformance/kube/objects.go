// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

var (
	crds        = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	definitions = schema.GroupVersionResource{Group: "k8s.cni.cncf.io", Version: "v1", Resource: "network-attachment-definitions"}
)

const (
	// definitionsTimeout is how long the API server may take to serve a new CRD.
	definitionsTimeout  = 30 * time.Second
	defaultSweepTimeout = 60 * time.Second
)

// sweepTimeout is how long the removal of what cases made may take.
var sweepTimeout = defaultSweepTimeout

// installDefinitions makes the CRD of network definitions, unless it is there,
// and waits until they are served.
func (h *Server) installDefinitions(ctx context.Context) (err error) {
	h.installed, err = installDefinitions(ctx, h.dynamic, map[string]string{labelRun: h.access.Run})
	return err
}

// InstallDefinitions makes the CRD of network definitions in an API server, unless it
// is there, and waits until they are served.
func InstallDefinitions(ctx context.Context, client dynamic.Interface) error {
	_, err := installDefinitions(ctx, client, nil)
	return err
}

func installDefinitions(ctx context.Context, client dynamic.Interface, labels map[string]string) (made bool, err error) {
	crd := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(definitionsCRD, &crd.Object); err != nil {
		return false, err
	}
	crd.SetLabels(labels)
	_, err = client.Resource(crds).Create(ctx, crd, metav1.CreateOptions{})
	switch {
	case err == nil:
		made = true
	case !apierrors.IsAlreadyExists(err):
		return false, fmt.Errorf("the definition of NetworkAttachmentDefinitions: %w", err)
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, definitionsTimeout, true, func(ctx context.Context) (bool, error) {
		_, err := client.Resource(definitions).List(ctx, metav1.ListOptions{Limit: 1})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return made, fmt.Errorf("NetworkAttachmentDefinitions are not served: %w", err)
	}
	return made, nil
}

// makeRole makes the ClusterRole of a daemon.
func (h *Server) makeRole(ctx context.Context, d Daemon) error {
	role, err := RoleOf(d)
	if err != nil {
		return err
	}
	role.ObjectMeta = metav1.ObjectMeta{Name: h.access.ClusterRoles[d.Name], Labels: map[string]string{labelRun: h.access.Run}}
	if _, err := h.client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("the daemon's ClusterRole: %w", err)
	}
	return nil
}

// sweep removes what a case of the run made, or all of them when id is empty.
// It goes on after an error, and does not end with the run's context: what was
// made is removed also when the run was cancelled.
func (h *Server) sweep(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
	defer cancel()
	selector := labelRun + "=" + h.access.Run
	if id != "" {
		selector += "," + labelCase + "=" + id
	}
	listed := metav1.ListOptions{LabelSelector: selector}
	all := []error{h.client.RbacV1().ClusterRoleBindings().DeleteCollection(ctx, metav1.DeleteOptions{}, listed)}
	if err := h.client.ResourceV1().ResourceSlices().DeleteCollection(ctx, metav1.DeleteOptions{}, listed); err != nil && !apierrors.IsNotFound(err) {
		all = append(all, err) // a cluster without resource claims has no slices
	}
	namespaces, err := h.client.CoreV1().Namespaces().List(ctx, listed)
	if err != nil {
		return errors.Join(append(all, err)...)
	}
	for _, n := range namespaces.Items {
		if n.DeletionTimestamp == nil {
			all = append(all, h.deleteNamespace(ctx, n.Name))
		}
	}
	if id == "" {
		all = append(all, h.awaitGone(ctx, listed))
	}
	return errors.Join(all...)
}

// deleteNamespace removes a namespace. What the namespace controller would
// wait for (a kubelet's word) or might not be there to do is done before.
func (h *Server) deleteNamespace(ctx context.Context, name string) error {
	now := int64(0)
	return errors.Join(
		h.client.CoreV1().Pods(name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}),
		h.dynamic.Resource(definitions).Namespace(name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}),
		h.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}),
	)
}

// awaitGone waits until the namespaces are removed, which takes a controller:
// the suite's own API server has none, and is about to end.
func (h *Server) awaitGone(ctx context.Context, listed metav1.ListOptions) error {
	if h.own != nil {
		return nil
	}
	var left *corev1.NamespaceList
	err := wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		var err error
		left, err = h.client.CoreV1().Namespaces().List(ctx, listed)
		return err == nil && len(left.Items) == 0, err
	})
	if err != nil {
		return fmt.Errorf("the cluster still removes namespaces with the label %s: %w", listed.LabelSelector, err)
	}
	return nil
}

// close removes what the run made, and ends what serves it.
func (h *Server) close() error {
	var all []error
	switch {
	case h.shared && h.own != nil:
		return nil // it ends soon, with all that is in it
	case h.shared:
		return h.sweep(context.Background(), "")
	case h.client != nil && h.own == nil:
		all = append(all, h.sweep(context.Background(), ""), h.removeShared(context.Background()))
	}
	for _, l := range h.sockets {
		_ = l.Close()
	}
	if h.own != nil {
		all = append(all, h.own.Stop())
	}
	return errors.Join(all...)
}

// removeShared removes what the run's cases shared: the ClusterRole and, when
// the cluster had none before, the CRD.
func (h *Server) removeShared(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	err := h.client.RbacV1().ClusterRoles().DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: labelRun + "=" + h.access.Run})
	if !h.installed {
		return err
	}
	// Somebody else's definitions, made meanwhile, would go with it.
	others, listErr := h.dynamic.Resource(definitions).List(ctx, metav1.ListOptions{Limit: 1})
	if listErr != nil || len(others.Items) > 0 {
		return errors.Join(err, listErr)
	}
	name := definitions.Resource + "." + definitions.Group
	return errors.Join(err, h.dynamic.Resource(crds).Delete(ctx, name, metav1.DeleteOptions{}))
}
