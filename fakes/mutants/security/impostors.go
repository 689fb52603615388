// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile security: configurations of one name.
var impostorsMutants = []mutant.Mutant{
	{Name: "gc-by-last-of-name", Cases: []string{"SEC-13"}, Daemon: onOrigins(func(o *origins, p *seam.Plugin, run func() ([]byte, error)) ([]byte, error) {
		if p.Command() == "GC" && o.last(p.NetworkOf()) != markerOf(p.Stdin) {
			return nil, nil
		}
		return run()
	}), Fault: "GC runs with the configuration that was last attached under a network's name"},
	{Name: "gc-valid-by-configuration", Cases: []string{"SEC-13"}, Daemon: onOrigins(func(o *origins, p *seam.Plugin, run func() ([]byte, error)) ([]byte, error) {
		if p.Command() == "GC" {
			p.Edit(func(conf map[string]any) { conf[seam.ValidKey] = o.of(markerOf(p.Stdin), seam.ValidOf(p.Stdin)) })
		}
		return run()
	}), Fault: "a GC is told of the attachments of its own configuration, and not of others of the same name"},
	{Name: "check-by-last-of-name", Cases: []string{"SEC-13"}, Daemon: byLastOfName("CHECK"),
		Fault: "CHECK uses the configuration that was last attached under a network's name"},
	{Name: "del-by-last-of-name", Cases: []string{"SEC-13"}, Daemon: byLastOfName("DEL"),
		Fault: "DEL uses the configuration that was last attached under a network's name"},
}

// origins remembers which configuration was attached, by the suite's marker.
type origins struct {
	mu         sync.Mutex
	lastOfName map[string]string
	attached   map[types.GCAttachment]string
}

func markerOf(stdin []byte) string {
	var conf struct {
		Marker string `json:"marker"`
	}
	_ = json.Unmarshal(stdin, &conf)
	return conf.Marker
}

func (o *origins) last(network string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lastOfName[network]
}

func (o *origins) of(marker string, all []types.GCAttachment) []types.GCAttachment {
	o.mu.Lock()
	defer o.mu.Unlock()
	own := []types.GCAttachment{}
	for _, at := range all {
		if o.attached[at] == marker {
			own = append(own, at)
		}
	}
	return own
}

func (o *origins) note(p *seam.Plugin) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastOfName[p.NetworkOf()] = markerOf(p.Stdin)
	o.attached[types.GCAttachment{ContainerID: p.Get("CNI_CONTAINERID"), IfName: p.Get("CNI_IFNAME")}] = markerOf(p.Stdin)
}

func onOrigins(f func(o *origins, p *seam.Plugin, run func() ([]byte, error)) ([]byte, error)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		o := &origins{lastOfName: map[string]string{}, attached: map[types.GCAttachment]string{}}
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			if p.Command() == "ADD" {
				o.note(p)
			}
			return f(o, p, func() ([]byte, error) { return run(ctx, p) })
		})
	}
}

func byLastOfName(command string) func(*seam.Assembly) {
	return onOrigins(func(o *origins, p *seam.Plugin, run func() ([]byte, error)) ([]byte, error) {
		if p.Command() == command {
			p.Edit(func(conf map[string]any) { conf["marker"] = o.last(p.NetworkOf()) })
		}
		return run()
	})
}
