// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
)

// The attributes by which DRA drivers publish a device for networks. The first
// two are Multus'; a driver that does not know of them may publish the standard
// one of PCI devices.
const (
	attributeDeviceID     = "k8s.cni.cncf.io/deviceID"
	attributeResourceName = "k8s.cni.cncf.io/resourceName"
	attributePCI          = "resource.kubernetes.io/pciBusID"
)

// deviceKey names a device; it is unique in a cluster.
type deviceKey struct{ driver, pool, device string }

// published are the devices that drivers have published, as far as they were
// looked up for one pod.
type published struct {
	k       *Kubernetes
	devices map[deviceKey]Device
	// generations are the newest of each pool: slices of older ones are about to
	// be removed.
	generations map[deviceKey]int64
	// asked are the field selectors that were looked up.
	asked map[string]bool
}

func newPublished(k *Kubernetes) *published {
	return &published{k: k, devices: map[deviceKey]Device{}, generations: map[deviceKey]int64{}, asked: map[string]bool{}}
}

// device returns what is published of an allocated device; its id is empty
// when it is nothing for networks, or not published any more. Devices of this
// node are looked for first: those of all nodes are many.
func (p *published) device(ctx context.Context, r *resourcev1.DeviceRequestAllocationResult) (Device, error) {
	at := deviceKey{r.Driver, r.Pool, r.Device}
	for _, node := range []string{p.k.options.NodeName, ""} {
		if err := p.look(ctx, node, r.Driver); err != nil {
			return Device{}, err
		}
		if d, ok := p.devices[at]; ok {
			return d, nil
		}
	}
	p.k.log.Warn("an allocated device is in no ResourceSlice", "driver", r.Driver, "pool", r.Pool, "device", r.Device)
	return Device{}, nil
}

// look lists a driver's slices of a node, or those that are of no single node.
func (p *published) look(ctx context.Context, node, driver string) error {
	selector := fmt.Sprintf("%s=%s,%s=%s", resourcev1.ResourceSliceSelectorNodeName, node, resourcev1.ResourceSliceSelectorDriver, driver)
	if p.asked[selector] {
		return nil
	}
	var list resourcev1.ResourceSliceList
	err := p.k.ask(ctx, "list", "resource slices of driver "+driver, func(ctx context.Context) error {
		return p.k.clients.claims.Get().Resource("resourceslices").Param("fieldSelector", selector).Do(ctx).Into(&list)
	})
	if err != nil {
		return missingClaim(err)
	}
	p.asked[selector] = true
	for i := range list.Items {
		p.add(&list.Items[i].Spec)
	}
	return nil
}

// add takes in a slice, unless it is of an older generation than another one
// of its pool.
func (p *published) add(s *resourcev1.ResourceSliceSpec) {
	pool := deviceKey{driver: s.Driver, pool: s.Pool.Name}
	newest, known := p.generations[pool]
	switch {
	case known && s.Pool.Generation < newest:
		return
	case known && s.Pool.Generation > newest:
		for at := range p.devices {
			if at.driver == pool.driver && at.pool == pool.pool {
				delete(p.devices, at)
			}
		}
	}
	p.generations[pool] = s.Pool.Generation
	for _, d := range s.Devices {
		text := func(name resourcev1.QualifiedName) string {
			if a := d.Attributes[name]; a.StringValue != nil {
				return *a.StringValue
			}
			return ""
		}
		id := text(attributeDeviceID)
		if id == "" {
			id = text(attributePCI)
		}
		p.devices[deviceKey{s.Driver, s.Pool.Name, d.Name}] = Device{Resource: text(attributeResourceName), ID: id}
	}
}
