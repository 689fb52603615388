// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile security: names that ADD accepts and DEL cannot delete.
var namesMutants = []mutant.Mutant{
	{Name: "interface-name-with-percent", Cases: []string{"SEC-10"}, Daemon: namesAccepted("%"),
		Fault: "an interface name may have a '%', which the kernel makes a number of"},
	{Name: "interface-name-with-nul", Cases: []string{"SEC-10"}, Daemon: namesAccepted("\x00"),
		Fault: "an interface name may have a NUL, with which no plugin can be executed"},
	{Name: "interface-name-with-control", Cases: []string{"SEC-10"}, Daemon: namesAccepted("\x1b\x7f\u0085"),
		Fault: "an interface name may have control characters"},
	{Name: "interface-name-of-hot-plug", Cases: []string{"SEC-10"}, Daemon: hotPlugNamesAccepted,
		Fault: "the names of hot-plugged interfaces are checked less than those of annotations"},
	{Name: "definition-name-makes-file", Cases: []string{"SEC-10"}, Daemon: longDefinitionAccepted,
		Fault: "a file is named after a definition, and DEL fails when that name is too long"},
	{Name: "network-name-of-any-length", Cases: []string{"SEC-10"}, Daemon: longNetworkAccepted,
		Fault: "a network's name may be longer than a file's"},
}

// hideName makes a name that every check accepts of one that holds any of the
// characters; other names stay.
func hideName(name, characters string) string {
	hidden := seam.Disguise + hex.EncodeToString([]byte(name))
	if !strings.ContainsAny(name, characters) || len(hidden) > 15 {
		return name
	}
	return hidden
}

func showName(name string) string {
	hidden, found := strings.CutPrefix(name, seam.Disguise)
	shown, err := hex.DecodeString(hidden)
	if !found || err != nil {
		return name
	}
	return string(shown)
}

// showNames gives the attachments of a new record the names that were asked for.
func showNames(rec *ledger.Record) error {
	for i := range rec.Attachments {
		rec.Attachments[i].Interface = showName(rec.Attachments[i].Interface)
	}
	return nil
}

func namesAccepted(characters string) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		seam.OnSelections(func(all []map[string]any) []map[string]any {
			for _, s := range all {
				if name, ok := s["interface"].(string); ok {
					s["interface"] = hideName(name, characters)
				}
			}
			return all
		})(a)
		seam.OnPlanned(showNames)(a)
	}
}

func hotPlugNamesAccepted(a *seam.Assembly) {
	a.OnCommand(func(path string, req *api.Request) {
		if path == api.MultusDelegateAPIEndpoint {
			req.Env["CNI_IFNAME"] = hideName(req.Env["CNI_IFNAME"], "%\x1b\x7f")
		}
	})
	seam.OnPlanned(showNames)(a)
}

// longest is from where on a name is long.
const longest = 200

func longDefinitionAccepted(a *seam.Assembly) {
	a.OnDefinitionLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error) {
		var length int
		if n, err := fmt.Sscanf(name, seam.Disguise+"%d", &length); n == 1 && err == nil {
			name = strings.Repeat("n", length)
		}
		return next.Definition(ctx, namespace, name)
	})
	seam.OnSelections(func(all []map[string]any) []map[string]any {
		for _, s := range all {
			if name, ok := s["name"].(string); ok && len(name) > longest {
				s["name"] = fmt.Sprintf("%s%d", seam.Disguise, len(name))
			}
		}
		return all
	})(a)
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.OnDel = func(ctx context.Context, r *attach.Request) error {
			rec, err := o.Ledger.Load(r.ContainerID)
			if err == nil && strings.Contains(rec.Attachments[len(rec.Attachments)-1].Definition, "/"+seam.Disguise) {
				return types.NewError(types.ErrInternal, "the description of a device is left: file name too long", "")
			}
			return next.Del(ctx, r)
		}
	})
}

func longNetworkAccepted(a *seam.Assembly) {
	seam.OnDefinition(func(d *cluster.Definition) error {
		var conf map[string]any
		if json.Unmarshal([]byte(d.Config), &conf) != nil {
			return nil //nolint:nilerr // the fault: the refusal is not passed on
		}
		if name, ok := conf["name"].(string); ok && len(name) > longest {
			conf["name"] = fmt.Sprintf("%s%d", seam.Disguise, len(name))
		}
		changed, err := json.Marshal(conf)
		d.Config = string(changed)
		return err
	})(a)
}
