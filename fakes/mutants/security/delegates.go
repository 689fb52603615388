// SPDX-License-Identifier: Apache-2.0

package security

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// The profile security: shims that become delegates.
var delegatesMutants = []mutant.Mutant{
	{Name: "shim-as-delegate", Cases: []string{"SEC-09"}, Daemon: onShims(anyShim),
		Fault: "a plugin type that is the shim's name is executed as any other"},
	{Name: "shim-as-ipam", Cases: []string{"SEC-09"}, Daemon: onShims(func(before string) bool { return strings.Contains(before, `"ipam"`) }),
		Fault: "only a network's own plugins are refused when they are the shim, and not those for IPAM"},
	{Name: "shim-as-chained-delegate", Cases: []string{"SEC-09"}, Daemon: onShims(func(before string) bool { return strings.Contains(before, `"fake"`) }),
		Fault: "only the first plugin of a list is refused when it is the shim"},
	{Name: "shim-by-another-name", Cases: []string{"SEC-09"}, Daemon: shimByAnotherName,
		Fault: "the shim is refused by its name only, and not as a copy or by a link"},
	{Name: "shim-by-node-file", Cases: []string{"SEC-09"}, Daemon: shimByNodeFile,
		Fault: "a definition without a configuration may lead to the file that sends the runtime to the shim"},
	{Name: "shim-by-hot-plug", Cases: []string{"SEC-09"}, Daemon: shimByHotPlug,
		Fault: "the shim is not refused on /delegate"},
	{Name: "shim-behind-script", Cases: []string{"SEC-09"}, Daemon: unmarked, Fault: "a shim that a delegate executes in turn is served as the runtime's"},
	{Name: "shim-behind-script-deleted-never", Cases: []string{"SEC-09"}, Shim: seam.ShimWith(func(s *skel.CNIFuncs) {
		next := s.Del
		s.Del = func(args *skel.CmdArgs) error {
			if by := os.Getenv(api.DelegateVariable); by != "" {
				return types.NewError(types.ErrInvalidNetworkConfig, "a shim cannot be a delegate", "")
			}
			return next(args)
		}
	}), Fault: "a shim that a delegate executes refuses DEL too, and the pod never goes away"},
	{Name: "shim-repairs-directory", Cases: []string{"SEC-09"}, Shim: shimRepairsDirectory,
		Fault: "the shim sets the mode of a directory that somebody else made"},
}

// unmarked executes delegates without the variable by which a shim knows them:
// what looks at types is the only defence then.
func unmarked(a *seam.Assembly) {
	a.WrapExec(func(next invoke.Exec) invoke.Exec {
		if genuine, ok := next.(*attach.Exec); ok {
			genuine.Environment = nil
		}
		return next
	})
}

// shimType finds the types of configurations by which the suite's cases name
// the shim.
var shimType = regexp.MustCompile(`"type":\s*"(thicket-shim|harmless-link|harmless-copy)"`)

func anyShim(string) bool { return true }

// hideShims hides the types that are shims from the real checks, where which
// says so of the text before one.
func hideShims(config string, which func(before string) bool) string {
	var out strings.Builder
	last := 0
	for _, at := range shimType.FindAllStringSubmatchIndex(config, -1) {
		if !which(config[:at[0]]) {
			continue
		}
		out.WriteString(config[last:at[2]] + seam.Disguise + hex.EncodeToString([]byte(config[at[2]:at[3]])))
		last = at[3]
	}
	return out.String() + config[last:]
}

var disguised = regexp.MustCompile(seam.Disguise + `([0-9a-f]+)`)

// unhide gives the hidden types their names back.
func unhide(text []byte) []byte {
	return disguised.ReplaceAllFunc(text, func(hidden []byte) []byte {
		name, err := hex.DecodeString(string(bytes.TrimPrefix(hidden, []byte(seam.Disguise))))
		if err != nil {
			return hidden
		}
		return name
	})
}

// findShims lets hidden types be found, and be executed under their own names.
func findShims(a *seam.Assembly) {
	unmarked(a)
	a.OnFind(func(plugin string, dirs []string, next invoke.Exec) (string, error) {
		if strings.HasPrefix(plugin, seam.Disguise) {
			return joined(string(unhide([]byte(plugin))), dirs)
		}
		return next.FindInPath(plugin, dirs)
	})
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		p.Stdin = unhide(p.Stdin)
		return run(ctx, p)
	})
}

func onShims(which func(before string) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		seam.OnDefinition(func(d *cluster.Definition) error { d.Config = hideShims(d.Config, which); return nil })(a)
		findShims(a)
	}
}

// shimByAnotherName skips what looks at the file that a type leads to.
func shimByAnotherName(a *seam.Assembly) {
	unmarked(a)
	a.OnFind(func(plugin string, dirs []string, next invoke.Exec) (string, error) {
		if strings.HasPrefix(plugin, "harmless") {
			return joined(plugin, dirs)
		}
		return next.FindInPath(plugin, dirs)
	})
}

func shimByNodeFile(a *seam.Assembly) {
	seam.OnDefinition(func(d *cluster.Definition) error {
		kind, isNodes := strings.CutPrefix(d.Name, "node-")
		file, err := os.ReadFile(filepath.Join(a.Config.ConfDir, "00-"+kind+".conflist"))
		if isNodes && err == nil {
			d.Config = hideShims(string(file), anyShim)
		}
		return nil
	})(a)
	findShims(a)
}

func shimByHotPlug(a *seam.Assembly) {
	a.OnCommand(func(path string, req *api.Request) {
		if path == api.MultusDelegateAPIEndpoint {
			req.Config = []byte(hideShims(string(req.Config), anyShim))
		}
	})
	findShims(a)
}

// shimRepairsDirectory makes the directory of pending DELs private, whoever
// made it.
var shimRepairsDirectory = seam.WithConf(func(conf map[string]any) {
	dir, given := conf["pendingDir"].(string)
	if cniDir, ok := conf["cniDir"].(string); ok && !given {
		dir = api.PendingDir(cniDir)
	}
	_ = os.Chmod(dir, 0o700)
})
