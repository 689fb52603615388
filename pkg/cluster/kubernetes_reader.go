// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
)

// Reader is the Cluster of an API server for somebody who looks once: it follows
// nothing, remembers nothing and writes nothing.
type Reader struct{ k *Kubernetes }

// NewReader reads how to reach the API server. With Certificate it uses the
// certificate that the node's daemon keeps, and asks for none.
func NewReader(o KubernetesOptions) (*Reader, error) {
	own := o.Certificate
	o.Certificate = nil
	if own == nil {
		k, err := NewKubernetes(o)
		if err != nil {
			return nil, err
		}
		k.events.shutdown()
		return &Reader{k}, nil
	}
	o.Kubeconfig = own.BootstrapKubeconfig
	k, err := NewKubernetes(o)
	if err != nil {
		return nil, fmt.Errorf("perNodeCertificate: bootstrap %w", err)
	}
	k.events.shutdown()
	k.config = rest.AnonymousClientConfig(k.config)
	kept := certificateFiles(own.Dir).current()
	k.config.CertFile, k.config.KeyFile = kept, kept
	if k.clients, err = newClients(k.config); err != nil {
		return nil, fmt.Errorf("perNodeCertificate: %w", err)
	}
	return &Reader{k}, nil
}

// Pod implements Cluster.
func (r *Reader) Pod(ctx context.Context, namespace, name string) (*Pod, error) {
	return r.k.LivePod(ctx, namespace, name)
}

// Definition implements Cluster.
func (r *Reader) Definition(ctx context.Context, namespace, name string) (*Definition, error) {
	what := fmt.Sprintf("network definition %s/%s", namespace, name)
	d, err := r.k.liveDefinition(ctx, key{namespace, name}, moment{}, what)
	if err == nil && d == nil {
		err = fmt.Errorf("%s: %w in the API server %s", what, ErrNotFound, r.k.host)
	}
	return d, err
}

// ClaimedDevices implements Claims.
func (r *Reader) ClaimedDevices(ctx context.Context, pod *Pod) ([]Device, error) {
	return r.k.ClaimedDevices(ctx, pod)
}

// errReads answers what would write.
var errReads = errors.New("this cluster is only read")

// PublishStatus implements Cluster.
func (r *Reader) PublishStatus(context.Context, *Pod, []NetworkStatus) error { return errReads }

// WithdrawStatus implements Cluster.
func (r *Reader) WithdrawStatus(Withdrawal) {}

// Ready implements Cluster.
func (r *Reader) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

// Waiting implements Cluster.
func (r *Reader) Waiting() string { return "" }

var _ interface {
	Cluster
	Claims
} = (*Reader)(nil)
