// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"context"
	"errors"
	"fmt"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// known is the cluster of the definitions that were read.
type known struct {
	definitions map[string]*cluster.Definition
	twice       []Finding
}

// errReads answers what would write.
var errReads = errors.New("files are only read")

func newKnown(objects []cluster.Object) *known {
	k := &known{definitions: map[string]*cluster.Definition{}}
	first := map[string]string{}
	for i := range objects {
		o := &objects[i]
		if o.Definition == nil {
			continue
		}
		name := o.Definition.Namespace + "/" + o.Definition.Name
		if place := first[name]; place != "" {
			k.twice = append(k.twice, Finding{Place: o.Place, Text: fmt.Sprintf("network definition %s is defined already at %s; remove one of them", name, place)})
			continue
		}
		first[name], k.definitions[name] = o.Place, o.Definition
	}
	return k
}

// Definition implements cluster.Cluster.
func (k *known) Definition(_ context.Context, namespace, name string) (*cluster.Definition, error) {
	d := k.definitions[namespace+"/"+name]
	if d == nil {
		return nil, fmt.Errorf("network definition %s/%s: %w among the files", namespace, name, cluster.ErrNotFound)
	}
	return d, nil
}

// Pod implements cluster.Cluster.
func (k *known) Pod(_ context.Context, namespace, name string) (*cluster.Pod, error) {
	return nil, fmt.Errorf("pod %s/%s: %w", namespace, name, cluster.ErrNotFound)
}

// PublishStatus implements cluster.Cluster.
func (k *known) PublishStatus(context.Context, *cluster.Pod, []cluster.NetworkStatus) error {
	return errReads
}

// WithdrawStatus implements cluster.Cluster.
func (k *known) WithdrawStatus(cluster.Withdrawal) {}

// Ready implements cluster.Cluster.
func (k *known) Ready() <-chan struct{} { return nil }

// Waiting implements cluster.Cluster.
func (k *known) Waiting() string { return "" }
