// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile lifecycle: the GC of delegates.
var gcDelegatesMutants = []mutant.Mutant{
	{Name: "gc-not-passed-on", Cases: []string{"GC-02"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool { return p.Command() == "GC" }),
		Fault: "delegates get no GC"},
	{Name: "gc-first-plugin-only", Cases: []string{"GC-02"}, Daemon: gcFirstPluginOnly,
		Fault: "only the first plugin of a network gets GC"},
	{Name: "gc-default-delegates-only", Cases: []string{"GC-02"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool {
		return p.Command() == "GC" && p.NetworkOf() != "default"
	}),
		Fault: "only the default network's delegates get GC"},
	{Name: "gc-list-of-runtime", Cases: []string{"GC-02"}, Daemon: gcListOfRuntime,
		Fault: "each delegate gets the runtime's list as it is"},
	{Name: "gc-interface-of-runtime", Cases: []string{"GC-02"}, Daemon: seam.OnValidOfPlugin(withInterfacesOfRuntime),
		Fault: "delegates get their containers under the runtime's interface names"},
	{Name: "gc-list-of-all-networks", Cases: []string{"GC-02"}, Daemon: seam.OnValidOfPlugin(everyNetwork),
		Fault: "each delegate gets the valid attachments of every network"},
	{Name: "gc-once-per-container", Cases: []string{"GC-02"}, Daemon: seam.OnValidOfPlugin(oncePerContainer),
		Fault: "a container that is on a network twice is named once"},
	{Name: "gc-failed-still-valid", Cases: []string{"GC-02"}, Daemon: seam.OnValidOfPlugin(withFailed),
		Fault: "what GC could not delete is valid for the delegates"},
	{Name: "gc-old-key-for-delegates", Cases: []string{"GC-02"}, Daemon: seam.OnConf("GC", func(_ *seam.Plugin, conf map[string]any) { delete(conf, seam.ValidKey) }),
		Fault: "delegates get their list under the key of an older draft only"},
	{Name: "gc-names-a-sandbox", Cases: []string{"GC-02"}, Daemon: seam.OnVariables("GC", func(p *seam.Plugin) {
		p.Set("CNI_CONTAINERID", "gc")
		p.Set("CNI_IFNAME", "eth0")
	}), Fault: "delegates get CNI_CONTAINERID and CNI_IFNAME at GC"},
}

func gcFirstPluginOnly(a *seam.Assembly) {
	var asked []string // GC asks one plugin after the other
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		asked = nil
		return next.GC(ctx, r)
	})
	seam.Swallowed(func(p *seam.Plugin) bool {
		if p.Command() != "GC" {
			return false
		}
		again := slices.Contains(asked, p.NetworkOf())
		asked = append(asked, p.NetworkOf())
		return again
	})(a)
}

func gcListOfRuntime(a *seam.Assembly) {
	seam.OnConf("GC", func(p *seam.Plugin, conf map[string]any) {
		if p.Request != nil {
			conf[seam.ValidKey] = seam.ValidOf(p.Request.Config)
		}
	})(a)
}

func withInterfacesOfRuntime(valid []types.GCAttachment, _ string, l attach.Ledger) []types.GCAttachment {
	for i := range valid {
		if rec, err := l.Load(valid[i].ContainerID); err == nil {
			valid[i].IfName = rec.Interface
		}
	}
	return valid
}

func everyNetwork(_ []types.GCAttachment, _ string, l attach.Ledger) []types.GCAttachment {
	return seam.Recorded(l, func(rec *ledger.Record, _ *ledger.Attachment) bool { return rec.State != ledger.StateDeleting })
}

func withFailed(_ []types.GCAttachment, network string, l attach.Ledger) []types.GCAttachment {
	return seam.Recorded(l, func(_ *ledger.Record, at *ledger.Attachment) bool { return at.Network == network })
}

func oncePerContainer(valid []types.GCAttachment, _ string, _ attach.Ledger) []types.GCAttachment {
	slices.SortFunc(valid, func(a, b types.GCAttachment) int { return strings.Compare(a.ContainerID, b.ContainerID) })
	return slices.CompactFunc(valid, func(a, b types.GCAttachment) bool { return a.ContainerID == b.ContainerID })
}
