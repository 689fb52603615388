// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile resilience: the node's CNI configuration between two daemons, and
// in other programs' hands.
var nodeConfKeptMutants = []mutant.Mutant{
	{Name: "nodeconf-removed-at-end", Cases: []string{"RES-10"}, Daemon: func(a *seam.Assembly) {
		a.OnStart(func() error { a.Config.CleanupConfigOnExit = true; return nil })
	}, Fault: "a daemon that stops removes the generated configuration although nobody asked for it"},
	{Name: "nodeconf-removed-at-start", Cases: []string{"RES-10"}, Daemon: removedAtStart,
		Fault: "a daemon that starts removes the configuration of its predecessor before it writes its own"},
	{Name: "nodeconf-edit-fought", Cases: []string{"RES-12"}, Daemon: editFought,
		Fault: "00-multus.conf is written again beside another program's list with the shim first"},
	{Name: "nodeconf-not-restored", Cases: []string{"RES-12"}, Daemon: nodeConfBy(func(path string, content []byte, _ bool) error {
		return replaceFile(path, content)
	}), Fault: "a generated configuration that is removed or renamed is not written again"},
}

func removedAtStart(a *seam.Assembly) {
	a.OnStart(func() error {
		if a.Config.MultusConfigFile != "" {
			_ = os.Remove(filepath.Join(a.Config.CNIConfigDir, nodeConfFile))
			time.Sleep(300 * time.Millisecond) // so that a runtime looks meanwhile
		}
		return nil
	})
}

// editFought writes a file of its own from the first plugin of another program's
// list whenever its own is gone.
func editFought(a *seam.Assembly) {
	a.OnListening(func() error {
		path := filepath.Join(a.Config.CNIConfigDir, nodeConfFile)
		go func() {
			for range time.Tick(5 * time.Millisecond) {
				var list struct{ Plugins []json.RawMessage }
				chained, err := os.ReadFile(path + "list")
				if err != nil || json.Unmarshal(chained, &list) != nil || len(list.Plugins) == 0 {
					continue
				}
				if _, err := os.Lstat(path); err != nil {
					_ = replaceFile(path, list.Plugins[0])
				}
			}
		}()
		return nil
	})
}
