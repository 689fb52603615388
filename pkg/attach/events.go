// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The reasons of a pod's events; the first two are Multus', the names of those
// of removed interfaces are its dynamic networks controller's.
const (
	reasonAdded        = "AddedInterface"
	reasonNoNetwork    = "NoNetworkFound"
	reasonFailed       = "FailedAddInterface"
	reasonIgnored      = "RequestIgnored"
	reasonRemoved      = "RemovedInterface"
	reasonFailedRemove = "FailedRemovingInterface"
	reasonRefused      = "ChangeRefused"
)

// event tells whoever looks at a pod what became of it (NET-12), where the
// cluster keeps events.
func (e *Engine) event(pod *cluster.Pod, eventType, reason, format string, args ...any) {
	if r, ok := e.cluster.(cluster.Recorder); ok {
		r.Event(pod, eventType, reason, fmt.Sprintf(format, args...))
	}
}

// added tells of some attachments of a sandbox what their results say: one
// event for each interface that was made.
func (e *Engine) added(rec *ledger.Record, pod *cluster.Pod, attachments []ledger.Attachment) {
	for i := range attachments {
		a := &attachments[i]
		result, err := resultOf(a)
		if err != nil {
			continue
		}
		inside := insideOf(result, rec.Netns)
		if len(inside) == 0 {
			e.event(pod, cluster.EventNormal, reasonAdded, "Attached to %s, which has no interface in the pod", a.Definition)
		}
		for n, index := range inside {
			e.event(pod, cluster.EventNormal, reasonAdded, "Add %s %v from %s",
				result.Interfaces[index].Name, prefixesOf(result, index, n == len(inside)-1), a.Definition)
		}
	}
}

// planFailed tells that a pod's networks cannot be found; the error names the
// one at fault.
func (e *Engine) planFailed(pod *cluster.Pod, err error) {
	reason := reasonFailed
	if errors.Is(err, cluster.ErrNotFound) {
		reason = reasonNoNetwork
	}
	e.event(pod, cluster.EventWarning, reason, "%v", err)
}

// undeclared tells of a network that is attached without what the pod asks of
// it, because the daemon is configured to tolerate that (NET-18).
func (e *Engine) undeclared(pod *cluster.Pod, d *network.Delegate) {
	if len(d.Undeclared) == 0 {
		return
	}
	asked := strings.Join(d.Undeclared, ", ")
	e.log.Warn("a network is attached without what the pod asks of it: none of its plugins declares the capability",
		"pod", pod.Namespace+"/"+pod.Name, "network", d.Definition, "interface", d.Interface, "capabilities", asked)
	e.event(pod, cluster.EventWarning, reasonIgnored, "%s from %s: it is asked for %s, which none of its plugins declares; that is ignored",
		d.Interface, d.Definition, asked)
}

// attachFailed tells of the network that could not be attached.
func (e *Engine) attachFailed(pod *cluster.Pod, a *ledger.Attachment, err error) {
	var own *types.Error
	if errors.As(err, &own) {
		err = own // the event says itself which network it is about
	}
	e.event(pod, cluster.EventWarning, reasonFailed, "Add %s from %s: %v", a.Interface, a.Definition, err)
}
