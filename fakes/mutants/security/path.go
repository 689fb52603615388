// SPDX-License-Identifier: Apache-2.0

package security

import (
	"net/http"
	"path/filepath"
	"sync/atomic"

	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile security: where plugins are looked for.
var pathMutants = []mutant.Mutant{
	{Name: "clients-path-first", Cases: []string{"SEC-17"}, Daemon: onClientsPath("", func(own, clients []string) []string { return append(clients, own...) }),
		Fault: "the client's CNI_PATH is searched for plugins before the daemon's own directories"},
	{Name: "clients-path-last", Cases: []string{"SEC-17"}, Daemon: onClientsPath("", func(own, clients []string) []string { return append(own, clients...) }),
		Fault: "a plugin that the daemon has not is taken from the client's CNI_PATH"},
	{Name: "clients-path-for-gc", Cases: []string{"SEC-17"}, Daemon: onClientsPath("GC", func(_, clients []string) []string { return clients }),
		Fault: "GC runs the plugins of the client's CNI_PATH"},
}

// onClientsPath changes where plugins are looked for, by the CNI_PATH of the last
// request, of a command or of any.
func onClientsPath(command string, dirs func(own, clients []string) []string) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		var last atomic.Value
		a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if req := seam.Decode(r); req != nil {
				path := req.Env["CNI_PATH"]
				if command != "" && req.Env["CNI_COMMAND"] != command {
					path = ""
				}
				last.Store(path)
			}
			next.ServeHTTP(w, r)
		})
		a.OnFind(func(plugin string, own []string, next invoke.Exec) (string, error) {
			path, _ := last.Load().(string)
			if path == "" {
				return next.FindInPath(plugin, own)
			}
			return next.FindInPath(plugin, dirs(append([]string(nil), own...), filepath.SplitList(path)))
		})
	}
}
