// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile hotplug: what comes between a hot-plug and its end.
var timeMutants = []mutant.Mutant{
	{Name: "hot-del-last", Cases: []string{"HOT-02"}, Daemon: onHotDel(hotDelLast),
		Fault: "a hot-plug DEL removes what was plugged last"},
	{Name: "hot-not-valid-at-gc", Cases: []string{"HOT-04"}, Daemon: seam.OnValidOfPlugin(func(valid []types.GCAttachment, _ string, _ attach.Ledger) []types.GCAttachment {
		return slices.DeleteFunc(valid, func(at types.GCAttachment) bool { return strings.HasPrefix(at.IfName, "hot") })
	}), Fault: "delegates are not told at GC that what was hot-plugged is valid"},
	{Name: "hot-during-gc-collected", Cases: []string{"HOT-04"}, Daemon: hotDuringGCCollected,
		Fault: "GC removes what is hot-plugged while it runs"},
	{Name: "hot-unplugged-returns", Cases: []string{"HOT-06"}, Daemon: hotUnpluggedReturns,
		Fault: "what was unplugged is known again after a restart"},
}

func hotDelLast(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
	if rec, err := o.Ledger.Load(r.ContainerID); err == nil && rec.Find(r.Interface) >= 0 {
		changed := *r
		changed.Interface = rec.Attachments[len(rec.Attachments)-1].Interface
		r = &changed
	}
	return next.HotDel(ctx, r)
}

func hotDuringGCCollected(a *seam.Assembly) {
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		before := map[types.GCAttachment]bool{}
		for _, at := range hotPlugged(o.Ledger) {
			before[at] = true
		}
		err := next.GC(ctx, r)
		for _, at := range hotPlugged(o.Ledger) {
			if rec, loadErr := o.Ledger.Load(at.ContainerID); loadErr == nil && !before[at] {
				of := &attach.Request{ContainerID: at.ContainerID, Interface: at.IfName, Netns: rec.Netns, Pod: rec.Pod}
				err = errors.Join(err, next.HotDel(ctx, of))
			}
		}
		return err
	})
}

// hotPlugged is all that was hot-plugged.
func hotPlugged(l attach.Ledger) []types.GCAttachment {
	return seam.Recorded(l, func(_ *ledger.Record, at *ledger.Attachment) bool { return at.HotPlugged })
}

// hotUnpluggedReturns keeps records that become shorter, while their sandbox
// lives, in memory.
func hotUnpluggedReturns(a *seam.Assembly) {
	var shorter sync.Map
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnBegin = func(rec *ledger.Record) error {
			shorter.Delete(rec.ContainerID)
			return next.Begin(rec)
		}
		r.OnSave = func(rec *ledger.Record) error {
			last, err := next.Load(rec.ContainerID)
			if err != nil || rec.State != ledger.StateAdded || len(rec.Attachments) >= len(last.Attachments) {
				return next.Save(rec)
			}
			content, err := json.Marshal(rec)
			shorter.Store(rec.ContainerID, content)
			return err
		}
		r.OnLoad = func(containerID string) (*ledger.Record, error) {
			content, known := shorter.Load(containerID)
			if !known {
				return next.Load(containerID)
			}
			rec := &ledger.Record{}
			return rec, json.Unmarshal(content.([]byte), rec)
		}
	})
}
