// SPDX-License-Identifier: Apache-2.0

package delegating

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

var refusedMutants = []mutant.Mutant{
	{Name: "unknown-version-as-newest", Cases: []string{"RT-09"}, Daemon: knownInstead(nil),
		Fault: "a network in a version that is not known is attached in the newest one that is"},
	{Name: "unknown-version-executed", Cases: []string{"RT-09"}, Daemon: executedInFuture,
		Fault: "the delegates of a network in a version that is not known are executed in that one"},
	{Name: "delegates-found-late", Cases: []string{"RT-26"}, Daemon: foundLate,
		Fault: "a delegate's executable is looked for when its turn comes"},
	{Name: "missing-executable-ends-del", Cases: []string{"RT-26"}, Daemon: missingEndsDel,
		Fault: "a DEL that misses a delegate's executable succeeds, and later ones do nothing"},
}

const (
	future = `"9.9.0"`
	known  = `"1.1.0"`
)

// knownInstead plans networks of the future in a version that is known, and tells when
// it does.
func knownInstead(tell func()) func(*seam.Assembly) {
	return seam.OnPlan(func(rec *ledger.Record) {
		for i := range rec.Attachments {
			if c := &rec.Attachments[i].Config; strings.Contains(*c, future) {
				*c = strings.ReplaceAll(*c, future, known)
				if tell != nil {
					tell()
				}
			}
		}
	})
}

// executedInFuture has the delegates of such a network executed in its version.
func executedInFuture(a *seam.Assembly) {
	var asked atomic.Bool
	knownInstead(func() { asked.Store(true) })(a)
	seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		if asked.Load() {
			conf["cniVersion"] = strings.Trim(future, `"`)
		}
	})(a)
}

// foundLate finds every executable, whether it is there or not.
func foundLate(a *seam.Assembly) {
	a.OnFind(func(plugin string, dirs []string, next invoke.Exec) (string, error) {
		path, err := next.FindInPath(plugin, dirs)
		if err != nil && len(dirs) > 0 && !strings.ContainsRune(plugin, filepath.Separator) {
			return filepath.Join(dirs[0], plugin), nil
		}
		return path, err
	})
}

// missingEndsDel takes a sandbox whose DEL finds no executable for deleted.
func missingEndsDel(a *seam.Assembly) {
	var deleted sync.Map
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		if _, done := deleted.Load(r.ContainerID); done {
			return nil
		}
		err := next.Del(ctx, r)
		if err != nil && strings.Contains(err.Error(), "failed to find plugin") {
			deleted.Store(r.ContainerID, true)
			return nil
		}
		return err
	})
}
