// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile resilience: taking over from Multus, command by command.
var takeoverMutants = []mutant.Mutant{
	{Name: "multus-plugged-unread", Cases: []string{"RES-11"}, Daemon: func(a *seam.Assembly) {
		a.OnStart(func() error { return forgetPlugged(a.Config.CNIDir) })
	}, Fault: "what Multus hot-plugged, and so has in libcni's cache alone, is not read"},
	{Name: "multus-hotplug-fails", Cases: []string{"RES-11"}, Daemon: hotAddOfMultusFails,
		Fault: "a hot-plug to a sandbox that Multus attached fails"},
	{Name: "multus-plugged-stays", Cases: []string{"RES-11"}, Daemon: hotDelOfMultusSkipped,
		Fault: "unplugging what Multus hot-plugged succeeds and does nothing"},
}

// forgetPlugged removes the results of networks that Multus' own records lack.
func forgetPlugged(cniDir string) error {
	paths, err := filepath.Glob(filepath.Join(cniDir, "results", "*"))
	for _, path := range paths {
		var entry struct {
			ContainerID string `json:"containerId"`
			Network     string `json:"networkName"`
		}
		data, readErr := os.ReadFile(path)
		if readErr == nil && json.Unmarshal(data, &entry) == nil && !slices.Contains(networksOfMultus(cniDir, entry.ContainerID), entry.Network) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// networksOfMultus lists the networks in Multus' record of a container.
func networksOfMultus(cniDir, containerID string) (names []string) {
	data, err := os.ReadFile(filepath.Join(cniDir, containerID))
	var delegates []ledger.MultusDelegate
	if err != nil || json.Unmarshal(data, &delegates) != nil {
		return nil
	}
	for _, d := range delegates {
		var conf types.NetConf
		if json.Unmarshal(d.Bytes, &conf) == nil {
			names = append(names, conf.Name)
		}
	}
	return names
}

func hotAddOfMultusFails(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.OnHotAdd = func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
			if _, err := o.Ledger.Load(r.ContainerID); errors.Is(err, ledger.ErrNotFound) {
				return nil, types.NewError(types.ErrInternal, "network status: unexpected end of JSON input", "")
			}
			return next.HotAdd(ctx, r, sel)
		}
	})
}

func hotDelOfMultusSkipped(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.OnHotDel = func(ctx context.Context, r *attach.Request) error {
			rec, err := o.Ledger.Load(r.ContainerID)
			if err == nil {
				if at := rec.Find(r.Interface); at >= 0 && rec.Attachments[at].Cached {
					return nil
				}
			}
			return next.HotDel(ctx, r)
		}
	})
}
