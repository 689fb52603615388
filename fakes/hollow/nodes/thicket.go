// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/thicket-cni/thicket/fakes/hollow"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// thicket is a node of Thicket: what its daemon asks is asked by the daemon's own package.
type thicket struct{ *cluster.Kubernetes }

func newThicket(id hollow.Identity, kubeconfig string) (hollow.Node, error) {
	k, err := cluster.NewKubernetes(cluster.KubernetesOptions{Kubeconfig: kubeconfig, NodeName: id.Name})
	if err != nil {
		return nil, err
	}
	return &thicket{k}, nil
}

// Knows implements hollow.Node.
func (t *thicket) Knows(d hollow.Definition) bool {
	known, err := t.Definition(context.Background(), d.Namespace, d.Name)
	return err == nil && known.Config == d.Config
}

// Attach implements hollow.Node, in the order of pkg/attach: the pod, its definitions,
// the status; the events are sent in the background.
func (t *thicket) Attach(ctx context.Context, p hollow.Pod) error {
	pod, err := t.Pod(ctx, p.Namespace, p.Name)
	if err != nil {
		return err
	}
	if !pod.HasUID(p.UID) {
		return fmt.Errorf("pod %s/%s has the UID %s, want %s", p.Namespace, p.Name, pod.UID, p.UID)
	}
	planning := cluster.ForPod(ctx, pod)
	for _, name := range p.Networks {
		if _, err := t.Definition(planning, p.Namespace, name); err != nil {
			return err
		}
	}
	var status []cluster.NetworkStatus
	for _, a := range p.Attachments() {
		status = append(status, cluster.NetworkStatus{Name: a.Network, Interface: a.Interface, IPs: []string{a.Address}, Mac: a.MAC, Default: a.Default})
	}
	if err := t.PublishStatus(ctx, pod, status); err != nil {
		return err
	}
	for _, a := range p.Attachments() {
		t.Event(pod, cluster.EventNormal, "AddedInterface", fmt.Sprintf("Add %s [%s/24] from %s", a.Interface, a.Address, a.Network))
	}
	return nil
}
