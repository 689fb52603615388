// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"slices"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profile lifecycle: which attachments GC takes for valid.
var gcUnrecordedMutants = []mutant.Mutant{
	{Name: "gc-recorded-only", Cases: []string{"GC-05"}, Daemon: seam.OnValidOfPlugin(recordedOnly),
		Fault: "delegates are told of the valid attachments that the daemon has a record of"},
	{Name: "gc-put-off-for-unrecorded", Cases: []string{"GC-05"}, Daemon: func(a *seam.Assembly) {
		a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			if valid := seam.ValidOf(r.Config); len(recordedOnly(slices.Clone(valid), "", o.Ledger)) < len(valid) {
				return nil
			}
			return next.GC(ctx, r)
		})
	}, Fault: "GC does nothing as long as the runtime names a container that is not recorded"},
	{Name: "gc-older-key-too", Cases: []string{"GC-06"}, Daemon: onGCConfig(func(conf map[string]any) {
		valid, _ := conf[seam.ValidKey].([]any)
		older, _ := conf["cni.dev/attachments"].([]any)
		conf[seam.ValidKey] = slices.Concat(valid, older)
	}), Fault: "GC keeps what the older key names too"},
	{Name: "gc-older-key-restricts", Cases: []string{"GC-06"}, Daemon: onGCConfig(func(conf map[string]any) {
		if older, sent := conf["cni.dev/attachments"]; sent {
			conf[seam.ValidKey] = older
		}
	}), Fault: "the older key counts where it is sent"},
}

func recordedOnly(valid []types.GCAttachment, _ string, l attach.Ledger) []types.GCAttachment {
	return slices.DeleteFunc(valid, func(v types.GCAttachment) bool {
		_, err := l.Load(v.ContainerID)
		return err != nil
	})
}
