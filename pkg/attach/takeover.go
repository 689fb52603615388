// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// load returns the record of a container: the ledger's, or one that is made of
// what a Multus that ran here before has in its cache (RES-05). Errors are
// those of ledger.Store.Load. Nothing is written.
func (e *Engine) load(containerID, ifName string) (*ledger.Record, error) {
	rec, err := e.ledger.Load(containerID)
	if err == nil {
		markUnfinished(rec)
	}
	if !errors.Is(err, ledger.ErrNotFound) {
		return rec, err
	}
	delegates, err := e.ledger.LoadMultus(containerID)
	if err != nil {
		return nil, err
	}
	rec, err = e.adopt(containerID, ifName, delegates)
	if errors.Is(err, errNoNetwork) {
		return nil, e.ledger.SetMultusAside(containerID, err)
	}
	return rec, err
}

// errNoNetwork says that a configuration in Multus' record is not a network's.
var errNoNetwork = errors.New("record of Multus: it has a configuration that cannot be used")

// adopt makes a record of Multus' list of delegates and of what libcni cached
// for each at ADD. ifName is the runtime's; a replay has none and takes it
// from that cache.
func (e *Engine) adopt(containerID, ifName string, delegates []ledger.MultusDelegate) (*ledger.Record, error) {
	rec := &ledger.Record{ContainerID: containerID, State: ledger.StateAdded, Interface: ifName}
	e.ledger.SweepCache()
	cached, err := e.cni.GetCachedAttachments(containerID)
	if err != nil {
		return nil, fmt.Errorf("libcni's results of container %s: %w", containerID, err)
	}
	for i := range delegates {
		a, err := adoptDelegate(&delegates[i], i, ifName, cached)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoNetwork, err)
		}
		rec.Attachments = append(rec.Attachments, *a)
	}
	for _, c := range cached {
		rec.Netns = c.NetNS
	}
	if ifName == "" && len(rec.Attachments) > 0 {
		rec.Interface = rec.Attachments[0].Interface
	}
	rec.Pod = podOf(cached)
	return rec, nil
}

func adoptDelegate(m *ledger.MultusDelegate, index int, ifName string, cached []*libcni.NetworkAttachment) (*ledger.Attachment, error) {
	name := m.IfnameRequest
	if name == "" && index > 0 {
		name = fmt.Sprintf("net%d", index)
	}
	if index == 0 && ifName != "" {
		name = ifName
	}
	sel := &network.Selection{MacRequest: m.MacRequest, IPRequest: m.IPRequest, InfinibandGUIDRequest: m.InfinibandGUIDRequest, DeviceID: m.DeviceID}
	placeholder := name
	if placeholder == "" {
		placeholder = "eth0"
	}
	d, err := network.NewDelegate(m.Bytes, placeholder, sel)
	if err != nil {
		return nil, err
	}
	a := attachment(d)
	a.Definition, a.Default = m.Name, index == 0
	at := slices.IndexFunc(cached, func(c *libcni.NetworkAttachment) bool {
		return c.Network == a.Network && (name == "" || c.IfName == name)
	})
	if at >= 0 {
		// What libcni cached is what the delegate really got.
		a.Interface, a.Args, a.CapabilityArgs = cached[at].IfName, cached[at].CniArgs, cached[at].CapabilityArgs
	}
	return &a, nil
}

func podOf(cached []*libcni.NetworkAttachment) ledger.Pod {
	var p ledger.Pod
	for _, c := range cached {
		for _, kv := range c.CniArgs {
			switch kv[0] {
			case "K8S_POD_NAMESPACE":
				p.Namespace = kv[1]
			case "K8S_POD_NAME":
				p.Name = kv[1]
			case "K8S_POD_UID":
				p.UID = kv[1]
			}
		}
	}
	return p
}

// containers lists every container that the ledger or Multus' cache knows.
func (e *Engine) containers() ([]string, error) {
	ids, err := e.ledger.Containers()
	if err != nil {
		return nil, err
	}
	former, err := e.ledger.MultusContainers()
	if err != nil {
		return nil, err
	}
	for _, id := range former {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
