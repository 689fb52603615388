// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/libcni"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

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
	left := slices.Clone(cached)
	for i := range delegates {
		a, at, err := adoptDelegate(&delegates[i], i, ifName, left)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoNetwork, err)
		}
		if at >= 0 {
			left = slices.Delete(left, at, at+1)
		}
		rec.Attachments = append(rec.Attachments, *a)
	}
	for _, c := range cached {
		rec.Netns = c.NetNS
	}
	e.adoptPlugged(rec, left)
	for i := range rec.Attachments {
		e.adoptResult(rec, &rec.Attachments[i])
	}
	if space, err := e.openOwn(rec, rec.Netns); err == nil {
		rec.BootID = e.bootID
		identify(rec, space)
		_ = space.Close()
	}
	if ifName == "" && len(rec.Attachments) > 0 {
		rec.Interface = rec.Attachments[0].Interface
	}
	rec.Pod = podOf(cached)
	return rec, nil
}

// adoptPlugged adds what Multus hot-plugged, which is in libcni's cache alone
// (RES-11). An entry that cannot be used is passed over.
func (e *Engine) adoptPlugged(rec *ledger.Record, cached []*libcni.NetworkAttachment) {
	for _, c := range cached {
		d, err := network.NewDelegate(c.Config, c.IfName, nil)
		if err != nil {
			e.log.Warn("a cached configuration cannot be used", "sandbox", rec.ContainerID, "network", c.Network, "error", err)
			continue
		}
		a := attachment(d)
		a.HotPlugged, a.Cached, a.Args, a.CapabilityArgs = true, true, c.CniArgs, c.CapabilityArgs
		rec.Attachments = append(rec.Attachments, a)
	}
}

// adoptResult takes over what libcni cached of an attachment's result, for the
// network status. Delegates get it from libcni.
func (e *Engine) adoptResult(rec *ledger.Record, a *ledger.Attachment) {
	err := background.Try(e.log, "a cached result", func() error {
		c, err := e.call(rec, a, rec.Netns)
		if err != nil {
			return err
		}
		cached, err := e.cni.GetNetworkListCachedResult(c.list, c.rt)
		if err != nil || cached == nil {
			return err
		}
		result, err := types100.NewResultFromResult(cached)
		if err != nil {
			return err
		}
		a.Result, err = json.Marshal(result)
		return err
	})
	if err != nil {
		e.log.Warn("a cached result cannot be used", "sandbox", rec.ContainerID, "network", a.Network, "error", err)
	}
}

// adoptDelegate returns one of Multus' delegates, and its place in libcni's
// cache, -1 when it is not there.
func adoptDelegate(m *ledger.MultusDelegate, index int, ifName string, cached []*libcni.NetworkAttachment) (*ledger.Attachment, int, error) {
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
		return nil, -1, err
	}
	a := attachment(d)
	a.Definition, a.Default, a.Cached = m.Name, index == 0, true
	at := slices.IndexFunc(cached, func(c *libcni.NetworkAttachment) bool {
		return c.Network == a.Network && (name == "" || c.IfName == name)
	})
	if at >= 0 {
		// What libcni cached is what the delegate really got.
		a.Interface, a.Args, a.CapabilityArgs = cached[at].IfName, cached[at].CniArgs, cached[at].CapabilityArgs
	}
	return &a, at, nil
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

// nameAdopted gives what Multus hot-plugged the name of the definition that the
// pod selects for its interface, as HOT-07 has it.
func nameAdopted(rec *ledger.Record, pod *cluster.Pod) {
	for i := range rec.Attachments {
		if a := &rec.Attachments[i]; a.Cached && a.HotPlugged {
			a.Definition = cmp.Or(network.SelectedAs(pod, a.Interface), a.Definition)
		}
	}
}
