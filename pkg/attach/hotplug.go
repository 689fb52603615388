// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// HotAdd attaches one more network, r.Config, to a sandbox that is attached
// already, under r.Interface (HOT-01). The attachment joins the sandbox's
// record, so that its DEL, CHECK and GC know it (HOT-04).
func (e *Engine) HotAdd(ctx context.Context, r *Request, sel *network.Selection) (*types100.Result, error) {
	ctx, done := e.turns.with(ctx)
	defer done()
	rec, release, err := e.hold(ctx, r)
	if err != nil {
		return nil, err
	}
	defer release()
	return e.plug(ctx, rec, &plugging{Request: r, sel: sel})
}

// plugging is one more network for a running sandbox: the configuration of a
// request, with what is asked of it, or an element of the pod's annotation.
type plugging struct {
	*Request
	sel *network.Selection
	// element is nil for a request; pod is the element's.
	element *network.Element
	pod     *cluster.Pod
}

// plug is HotAdd for a sandbox whose lock is held.
func (e *Engine) plug(ctx context.Context, rec *ledger.Record, p *plugging) (*types100.Result, error) {
	if err := e.hotPlan(ctx, rec, p); err != nil {
		if p.element != nil {
			e.planFailed(p.pod, err)
		}
		return nil, err
	}
	if err := e.begin(ctx, rec); err != nil {
		return nil, notRecorded("the attachment cannot be recorded", err)
	}
	e.sweeps.begin(rec, rec.Attachments[len(rec.Attachments)-1:])
	var result *types100.Result
	err := background.Try(e.log, "hot-plug", func() (err error) {
		result, err = e.hotAttach(ctx, rec, p.Request)
		if err == nil {
			err = e.hotCommit(ctx, rec, p.pod)
		}
		return err
	})
	if err != nil {
		e.attachFailed(p.pod, &rec.Attachments[len(rec.Attachments)-1], err)
		e.hotRollback(context.WithoutCancel(ctx), rec, p.Netns)
		return nil, err
	}
	e.added(rec, p.pod, rec.Attachments[len(rec.Attachments)-1:])
	return result, nil
}

// hotPlan checks what is to be plugged against the sandbox and adds the
// attachment to its record, in memory. It finds the sandbox's pod.
func (e *Engine) hotPlan(ctx context.Context, rec *ledger.Record, p *plugging) (err error) {
	if p.pod == nil {
		if p.pod, err = e.pod(ctx, p.Request); err != nil {
			return err
		}
	}
	if err := e.findOwn(rec, p.Netns); err != nil {
		return err
	}
	d, err := e.hotDelegate(ctx, rec, p)
	if err != nil {
		return err
	}
	nameAdopted(rec, p.pod)
	e.undeclared(p.pod, d)
	a := attachment(d)
	c, err := e.call(rec, &a, p.Netns)
	if err != nil {
		return err
	}
	if err := e.findPlugins(c); err != nil {
		return err
	}
	a.HotPlugged, a.Args, a.State, a.Unanswered = true, p.Args, ledger.AttachmentAdding, p.element == nil
	if p.element == nil {
		a.Definition = cmp.Or(e.selectedAs(ctx, p.pod, p.Interface), a.Definition)
	}
	rec.Attachments = append(rec.Attachments, a)
	if err := e.nameDeviceInfo(rec); err != nil {
		return err
	}
	return invalidConfig(checkFree(p.Netns, rec.Attachments[len(rec.Attachments)-1:]))
}

// hotDelegate makes the delegate of a hot-plug, and room for it: what an
// interrupted request has left under its interface name is deleted.
func (e *Engine) hotDelegate(ctx context.Context, rec *ledger.Record, p *plugging) (d *network.Delegate, err error) {
	if p.element != nil {
		d, err = e.planner.Join(cluster.ForPod(ctx, p.pod), p.pod, p.element, p.Interface, has(rec))
	} else {
		d, err = e.planner.Plug(ctx, p.Config, p.Interface, p.sel, has(rec).Bytes)
	}
	if err == nil {
		err = d.CheckFileNames(p.ContainerID)
	}
	if err != nil && p.element != nil {
		return nil, err
	}
	if err != nil {
		return nil, invalidConfig(err)
	}
	r := p.Request
	if at := begunBefore(rec, r, d); at >= 0 {
		if err := e.dropBegun(ctx, rec, at, r.Netns); err != nil {
			return nil, err
		}
	}
	if at := rec.Find(r.Interface); at >= 0 {
		return nil, invalidConfig(types.NewError(types.ErrInvalidNetworkConfig,
			fmt.Sprintf("interface %s is taken by network %q", r.Interface, rec.Attachments[at].Network), ""))
	}
	return d, nil
}

// selectedAs is the definition that a pod asks an interface for. Who plugs
// networks by the pod's annotation passes a configuration without saying whose
// it is, and then looks for the definition's name in the network status
// (HOT-07). The annotation is younger than what is remembered of the pod, so a
// pod that does not ask is looked up again.
func (e *Engine) selectedAs(ctx context.Context, pod *cluster.Pod, ifName string) string {
	name := network.SelectedAs(pod, ifName)
	live, ok := e.cluster.(cluster.LiveCluster)
	if name != "" || !ok {
		return name
	}
	now, err := live.LivePod(ctx, pod.Namespace, pod.Name)
	if err != nil {
		return "" // the attachment does not depend on what it is called
	}
	return network.SelectedAs(now, ifName)
}

func (e *Engine) hotAttach(ctx context.Context, rec *ledger.Record, r *Request) (*types100.Result, error) {
	c, err := e.call(rec, &rec.Attachments[len(rec.Attachments)-1], r.Netns)
	if err != nil {
		return nil, err
	}
	result, err := e.add(ctx, c)
	if err != nil {
		return nil, err
	}
	// A crash from here on leaves to DEL what was answered (DEL-05).
	return result, e.saveStep(ctx, rec)
}

// hotCommit makes a hot-plug public and then part of the sandbox. As long as it
// is not recorded as that, it is undone after a crash.
func (e *Engine) hotCommit(ctx context.Context, rec *ledger.Record, pod *cluster.Pod) error {
	rec.Attachments[len(rec.Attachments)-1].State = ""
	late, err := e.publish(ctx, rec, pod)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return cniError(context.Cause(ctx), "ADD was cancelled")
	}
	rec.StatusDue = late
	return e.saveStep(ctx, rec)
}

// hotRollback deletes a hot-plug that failed. What it cannot delete stays
// recorded as unfinished.
func (e *Engine) hotRollback(ctx context.Context, rec *ledger.Record, netns string) {
	last := &rec.Attachments[len(rec.Attachments)-1]
	published := last.State == ""
	last.State = ledger.AttachmentDeleting
	if err := e.save(ctx, rec); err != nil {
		e.log.Warn("the rollback of a hot-plug goes on without a record of it", "sandbox", rec.ContainerID, "error", err)
	}
	if err := e.drop(ctx, rec, len(rec.Attachments)-1, netns); err != nil {
		e.log.Error("rollback is incomplete; DEL will try again", "sandbox", rec.ContainerID, "error", err)
	}
	if published {
		e.republish(ctx, rec)
	}
}

// drop deletes one attachment of a sandbox and takes it out of the record.
func (e *Engine) drop(ctx context.Context, rec *ledger.Record, at int, netns string) error {
	netns, err := e.netnsForDel(rec, netns)
	if err != nil {
		return err
	}
	if err := e.detachOne(ctx, rec, &rec.Attachments[at], netns); err != nil {
		return err
	}
	rec.Attachments = slices.Delete(rec.Attachments, at, at+1)
	if err := e.save(ctx, rec); err != nil {
		// It is recorded as unfinished, which is right for one that is gone, too.
		e.log.Warn("that an attachment is deleted cannot be recorded", "sandbox", rec.ContainerID, "error", err)
	}
	return nil
}

// HotDel removes one hot-plugged attachment and reports a delegate's failure
// (HOT-02). An interface that the sandbox does not have is a success, as for
// any DEL; what ADD attached goes with the sandbox and not by hot-plug.
func (e *Engine) HotDel(ctx context.Context, r *Request) error {
	rec, release, err := e.hold(ctx, r)
	if err != nil {
		return err
	}
	defer release()
	at := rec.Find(r.Interface)
	switch {
	case at < 0:
		return nil
	case rec.Attachments[at].Default:
		return types.NewError(types.ErrInvalidNetworkConfig,
			fmt.Sprintf("interface %s is the default network's; it goes with the sandbox", r.Interface), "")
	}
	if err := e.findOwn(rec, r.Netns); errors.Is(err, errForeignNetns) {
		return err // the client may correct it (DEL-11)
	}
	return e.unplug(context.WithoutCancel(ctx), rec, at, r.Netns)
}

// unplug deletes one attachment of a sandbox whose lock is held. One whose
// delegates fail stays.
func (e *Engine) unplug(ctx context.Context, rec *ledger.Record, at int, netns string) error {
	begun := rec.Attachments[at].State != "" // by a request that did not finish
	if !begun {
		if err := e.beginDrop(ctx, rec, at); err != nil {
			return err
		}
	}
	if err := e.drop(ctx, rec, at, netns); err != nil {
		if !begun {
			e.keep(ctx, rec, at)
		}
		return err
	}
	e.republish(ctx, rec)
	return nil
}

// HotCheck runs CHECK of one attachment of a sandbox (HOT-03).
func (e *Engine) HotCheck(ctx context.Context, r *Request) error {
	rec, release, err := e.hold(ctx, r)
	if err != nil {
		return err
	}
	defer release()
	at := rec.Find(r.Interface)
	if at < 0 || rec.Attachments[at].State != "" {
		return types.NewError(types.ErrUnknownContainer,
			fmt.Sprintf("container %s has no attachment %s", r.ContainerID, r.Interface), "")
	}
	if err := e.findOwn(rec, r.Netns); err != nil {
		return err
	}
	c, err := e.call(rec, &rec.Attachments[at], r.Netns)
	if err != nil {
		return err
	}
	return e.check(ctx, c)
}

// HotStatus asks the delegates of the given configuration for their STATUS
// (HOT-03). It needs no sandbox.
func (e *Engine) HotStatus(ctx context.Context, r *Request) error {
	var name struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(r.Config, &name)
	d, err := network.NewDelegate(r.Config, "net1", nil)
	if err != nil {
		return invalidConfig(err)
	}
	list, err := readList(d.Config)
	if err != nil {
		return types.NewError(types.ErrInvalidNetworkConfig, err.Error(), "")
	}
	return cniError(e.statusPlugins(ctx, list), "network "+name.Name)
}
