// SPDX-License-Identifier: Apache-2.0

// Package delegating has the faulty daemons that the cases of runtimes must catch
// when Thicket is judged as the runtime of its delegates.
package delegating

import (
	"context"
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant { return slices.Concat(mutants, refusedMutants, oddMutants) }

var mutants = []mutant.Mutant{
	{Name: "capabilities-passed-on", Cases: []string{"RT-06"}, Daemon: withKey("capabilities", map[string]any{"portMappings": true}),
		Fault: "a delegate gets what capabilities its configuration declares"},
	{Name: "prevresult-of-file", Cases: []string{"RT-01", "RT-28"}, Daemon: ofFile,
		Fault: "the first delegate gets the prevResult of the network's configuration"},
	{Name: "runtimeconfig-of-file", Cases: []string{"RT-29"}, Daemon: withKey("runtimeConfig", map[string]any{"mac": "02:00:00:00:00:07"}),
		Fault: "a delegate gets the runtimeConfig of its configuration"},
	{Name: "runtimeconfig-of-file-after-failure", Cases: []string{"RT-29"}, Daemon: atFailure,
		Fault: "a delegate whose ADD failed gets the runtimeConfig of its configuration at DEL"},
	{Name: "reserved-of-file", Cases: []string{"RT-29"}, Daemon: withKey("cni.dev/of-the-file", true),
		Fault: "a delegate gets keys of its configuration that begin with cni.dev/"},
	{Name: "gc-beside-add", Cases: []string{"RT-21"}, Daemon: besideADD,
		Fault: "the delegates of a network get GC while one of its ADDs is running"},
}

// withKey has delegates get a key that they do not have at ADD.
func withKey(key string, value any) func(*seam.Assembly) {
	return seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		if conf[key] == nil {
			conf[key] = value
		}
	})
}

// atFailure has delegates get a runtimeConfig at a DEL without a result.
func atFailure(a *seam.Assembly) {
	seam.OnConf("DEL", func(_ *seam.Plugin, conf map[string]any) {
		if conf["prevResult"] == nil {
			conf["runtimeConfig"] = map[string]any{"mac": "02:00:00:00:00:07"}
		}
	})(a)
}

// ofFile gives the first delegate a result.
func ofFile(a *seam.Assembly) {
	seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		if conf["prevResult"] == nil {
			conf["prevResult"] = map[string]any{"cniVersion": conf["cniVersion"], "ips": []any{}, "dns": map[string]any{"search": []any{"of-the-file"}}}
		}
	})(a)
}

// besideADD has GC carried out by an engine that does not know what the other one
// has begun.
func besideADD(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, _ daemon.Engine, o attach.Options) {
		other := daemon.NewEngine(o)
		h.Gc = func(ctx context.Context, r *attach.Request) error { return other.GC(ctx, r) }
	})
}
