// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// What one unusable file does to others.
var unusableMutants = []mutant.Mutant{
	{Name: "damage-fails-gc", Cases: []string{"RES-16"}, Daemon: damageFailsGC,
		Fault: "GC fails as long as a damaged record is kept"},
	{Name: "linked-record-fails-gc", Cases: []string{"RES-16"}, Daemon: linkFailsGC,
		Fault: "a link in the place of a record is an error each time, and never set aside"},
	{Name: "damage-kept-for-ever", Cases: []string{"RES-16"}, Daemon: damageKept,
		Fault: "every damaged file is kept"},
}

func damageFailsGC(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.Gc = func(ctx context.Context, r *attach.Request) error {
			err := next.GC(ctx, r)
			if aside := o.Ledger.Aside(); len(aside) > 0 {
				err = errors.Join(err, fmt.Errorf("the records of %d containers are damaged", len(aside)))
			}
			return err
		}
	})
}

func linkFailsGC(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnLoad = func(containerID string) (*ledger.Record, error) {
			path := filepath.Join(a.Config.CNIDir, "ledger", containerID+".json")
			if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
				return nil, fmt.Errorf("%s is a link", path)
			}
			return next.Load(containerID)
		}
	})
}

// damageKept keeps a copy of each file that the ledger sets aside.
func damageKept(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.Multus = func(containerID string) ([]ledger.MultusDelegate, error) {
			data, missing := os.ReadFile(filepath.Join(a.Config.CNIDir, containerID))
			delegates, err := next.LoadMultus(containerID)
			if damaged := new(ledger.DamagedError); errors.As(err, &damaged) && missing == nil {
				err = errors.Join(err, os.WriteFile(filepath.Join(a.Config.CNIDir, ".kept-"+containerID), data, 0o600))
			}
			return delegates, err
		}
	})
}
