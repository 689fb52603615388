// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile lifecycle: the GC of delegates.
func init() {
	register(
		mutant{name: "gc-not-passed-on", cases: []string{"GC-02"}, daemon: swallowed(func(p *plugin) bool { return p.command() == "GC" }),
			fault: "delegates get no GC"},
		mutant{name: "gc-first-plugin-only", cases: []string{"GC-02"}, daemon: gcFirstPluginOnly,
			fault: "only the first plugin of a network gets GC"},
		mutant{name: "gc-default-delegates-only", cases: []string{"GC-02"}, daemon: swallowed(func(p *plugin) bool {
			return p.command() == "GC" && p.networkOf() != "default"
		}),
			fault: "only the default network's delegates get GC"},
		mutant{name: "gc-list-of-runtime", cases: []string{"GC-02"}, daemon: gcListOfRuntime,
			fault: "each delegate gets the runtime's list as it is"},
		mutant{name: "gc-interface-of-runtime", cases: []string{"GC-02"}, daemon: onValidOfPlugin(withInterfacesOfRuntime),
			fault: "delegates get their containers under the runtime's interface names"},
		mutant{name: "gc-list-of-all-networks", cases: []string{"GC-02"}, daemon: onValidOfPlugin(everyNetwork),
			fault: "each delegate gets the valid attachments of every network"},
		mutant{name: "gc-once-per-container", cases: []string{"GC-02"}, daemon: onValidOfPlugin(oncePerContainer),
			fault: "a container that is on a network twice is named once"},
		mutant{name: "gc-failed-still-valid", cases: []string{"GC-02"}, daemon: onValidOfPlugin(withFailed),
			fault: "what GC could not delete is valid for the delegates"},
		mutant{name: "gc-old-key-for-delegates", cases: []string{"GC-02"}, daemon: onConf("GC", func(_ *plugin, conf map[string]any) { delete(conf, validKey) }),
			fault: "delegates get their list under the key of an older draft only"},
		mutant{name: "gc-names-a-sandbox", cases: []string{"GC-02"}, daemon: onVariables("GC", func(p *plugin) {
			p.set("CNI_CONTAINERID", "gc")
			p.set("CNI_IFNAME", "eth0")
		}), fault: "delegates get CNI_CONTAINERID and CNI_IFNAME at GC"},
	)
}

// validKey is the key of the valid attachments (CNI spec, section 2).
const validKey = "cni.dev/valid-attachments"

// networkOf is the network in a plugin's configuration.
func (p *plugin) networkOf() string {
	var conf struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(p.stdin, &conf)
	return conf.Name
}

func gcFirstPluginOnly(a *assembly) {
	var asked []string // GC asks one plugin after the other
	a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		asked = nil
		return next.GC(ctx, r)
	})
	swallowed(func(p *plugin) bool {
		if p.command() != "GC" {
			return false
		}
		again := slices.Contains(asked, p.networkOf())
		asked = append(asked, p.networkOf())
		return again
	})(a)
}

func gcListOfRuntime(a *assembly) {
	onConf("GC", func(p *plugin, conf map[string]any) {
		if p.request != nil {
			conf[validKey] = validOf(p.request.Config)
		}
	})(a)
}

// onValidOfPlugin changes the valid attachments that a network's delegates get.
func onValidOfPlugin(f func(valid []types.GCAttachment, network string, l attach.Ledger) []types.GCAttachment) func(*assembly) {
	return func(a *assembly) {
		var kept attach.Ledger
		a.onRecords(func(_ *records, next attach.Ledger) { kept = next })
		onConf("GC", func(p *plugin, conf map[string]any) { conf[validKey] = f(validOf(p.stdin), p.networkOf(), kept) })(a)
	}
}

func withInterfacesOfRuntime(valid []types.GCAttachment, _ string, l attach.Ledger) []types.GCAttachment {
	for i := range valid {
		if rec, err := l.Load(valid[i].ContainerID); err == nil {
			valid[i].IfName = rec.Interface
		}
	}
	return valid
}

// recorded are the attachments of all records that f accepts.
func recorded(l attach.Ledger, f func(rec *ledger.Record, at *ledger.Attachment) bool) []types.GCAttachment {
	all := []types.GCAttachment{}
	for _, rec := range recordsOf(l) {
		for i := range rec.Attachments {
			if f(rec, &rec.Attachments[i]) {
				all = append(all, types.GCAttachment{ContainerID: rec.ContainerID, IfName: rec.Attachments[i].Interface})
			}
		}
	}
	return all
}

func everyNetwork(_ []types.GCAttachment, _ string, l attach.Ledger) []types.GCAttachment {
	return recorded(l, func(rec *ledger.Record, _ *ledger.Attachment) bool { return rec.State != ledger.StateDeleting })
}

func withFailed(_ []types.GCAttachment, network string, l attach.Ledger) []types.GCAttachment {
	return recorded(l, func(_ *ledger.Record, at *ledger.Attachment) bool { return at.Network == network })
}

func oncePerContainer(valid []types.GCAttachment, _ string, _ attach.Ledger) []types.GCAttachment {
	slices.SortFunc(valid, func(a, b types.GCAttachment) int { return strings.Compare(a.ContainerID, b.ContainerID) })
	return slices.CompactFunc(valid, func(a, b types.GCAttachment) bool { return a.ContainerID == b.ContainerID })
}
