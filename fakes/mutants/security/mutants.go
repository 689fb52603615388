// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/hex"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// The profile security: what reaches delegates of the client, and which
// executables are delegates.
var mutants = []mutant.Mutant{
	{Name: "environment-of-client", Cases: []string{"SEC-01"}, Daemon: environmentOfClient,
		Fault: "delegates get all variables of the request"},
	{Name: "cni-variables-of-client", Cases: []string{"SEC-01"}, Daemon: onClientEnv("", func(p *seam.Plugin, name, value string) {
		if strings.HasPrefix(name, "CNI_") && name != "CNI_PATH" && p.Get(name) == "" {
			p.Set(name, value)
		}
	}), Fault: "delegates get all variables of the request whose names begin with CNI_"},
	{Name: "cni-path-of-client", Cases: []string{"SEC-01"}, Daemon: onClientEnv("", setVariable("CNI_PATH")),
		Fault: "delegates get the CNI_PATH of the request"},
	{Name: "cni-path-joined", Cases: []string{"SEC-01"}, Daemon: onClientEnv("", func(p *seam.Plugin, name, value string) {
		if name == "CNI_PATH" {
			p.Set(name, p.Get(name)+string(filepath.ListSeparator)+value)
		}
	}), Fault: "the CNI_PATH of the request is added to the delegates'"},
	{Name: "path-of-client", Cases: []string{"SEC-01"}, Daemon: onClientEnv("", setVariable("PATH")),
		Fault: "delegates get the PATH of the request"},
	{Name: "environment-of-hot-plug", Cases: []string{"SEC-01"}, Daemon: onClientEnv(api.MultusDelegateAPIEndpoint, setVariable("CNI_PATH")),
		Fault: "delegates get the CNI_PATH of a request on /delegate"},
	{Name: "trace-context-unchecked", Cases: []string{"SEC-01"}, Daemon: traceContextUnchecked,
		Fault: "delegates get the trace context of the request, whatever it is"},
	{Name: "environment-taken-over", Cases: []string{"SEC-01"}, Daemon: environmentTakenOver,
		Fault: "the daemon sets the variables of each request in its own environment"},

	{Name: "plugin-type-joined", Cases: []string{"SEC-02"}, Daemon: onTypes(anyType, joined),
		Fault: "a plugin type is joined to the plugin directory, whatever it is"},
	{Name: "plugin-type-in-subdirectory", Cases: []string{"SEC-02"}, Daemon: onTypes(anyType, func(t string, dirs []string) (string, error) {
		if strings.Contains(t, "..") || filepath.IsAbs(t) {
			return "", types.NewError(types.ErrInvalidNetworkConfig, "plugin type "+t, "")
		}
		return joined(t, dirs)
	}), Fault: "only '..' and absolute paths are refused as plugin types"},
	{Name: "plugin-type-base-name", Cases: []string{"SEC-02"}, Daemon: onTypes(anyType, func(t string, dirs []string) (string, error) {
		return joined(filepath.Base(t), dirs)
	}), Fault: "the last part of a plugin type is executed"},
	{Name: "plugin-type-absolute", Cases: []string{"SEC-02"}, Daemon: onTypes(anyType, func(t string, dirs []string) (string, error) {
		if filepath.IsAbs(t) {
			return t, nil
		}
		return "", types.NewError(types.ErrInvalidNetworkConfig, "plugin type "+t, "")
	}), Fault: "an absolute path is executed as a plugin"},
	{Name: "plugin-types-of-first-plugin", Cases: []string{"SEC-02"}, Daemon: onTypes(func(_ string, index int) bool { return index > 0 }, joined),
		Fault: "only the first plugin type of a list is checked"},
	{Name: "plugin-type-of-hot-plug", Cases: []string{"SEC-02"}, Daemon: onTypes(func(source string, _ int) bool {
		return source == api.MultusDelegateAPIEndpoint
	}, joined), Fault: "the plugin types of a hot-plug's configuration are not checked"},
	{Name: "plugin-type-checked-at-add", Cases: []string{"SEC-02"}, Daemon: typeCheckedAtAdd,
		Fault: "plugin types are checked at ADD only, and so executed by the rollback"},
	{Name: "plugin-type-probed", Cases: []string{"SEC-02"}, Daemon: typeProbed,
		Fault: "the plugins of a definition are asked for their versions before their types are checked"},
	{Name: "plugin-in-path", Cases: []string{"SEC-02"}, Daemon: func(a *seam.Assembly) {
		a.OnFind(func(t string, dirs []string, next invoke.Exec) (string, error) {
			path, err := next.FindInPath(t, dirs)
			if found, missing := exec.LookPath(t); err != nil && missing == nil && !strings.Contains(t, "/") {
				return found, nil
			}
			return path, err
		})
	}, Fault: "a plugin that is not in the plugin directories is looked for in PATH"},
}

// onClientEnv has f called, for each variable of a request, with each plugin
// that runs for the request's container from then on; path is the endpoint, ""
// for all.
func onClientEnv(path string, f func(p *seam.Plugin, name, value string)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		var envs sync.Map
		a.OnCommand(func(endpoint string, req *api.Request) {
			if path == "" || path == endpoint {
				envs.Store(req.Env["CNI_CONTAINERID"], maps.Clone(req.Env))
			}
		})
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			if env, known := envs.Load(p.Get("CNI_CONTAINERID")); known {
				for name, value := range env.(map[string]string) {
					f(p, name, value)
				}
			}
			return run(ctx, p)
		})
	}
}

// setVariable sets one variable as the client has it.
func setVariable(which string) func(p *seam.Plugin, name, value string) {
	return func(p *seam.Plugin, name, value string) {
		if name == which {
			p.Set(name, value)
		}
	}
}

// environmentOfClient takes the place of the real execution, which filters.
func environmentOfClient(a *seam.Assembly) {
	a.WrapExec(func(next invoke.Exec) invoke.Exec {
		return &seam.PlainExec{Exec: next, Limit: time.Duration(a.Config.DelegateTimeout)}
	})
	onClientEnv("", func(p *seam.Plugin, name, value string) {
		if p.Get(name) == "" {
			p.Set(name, value)
		}
	})(a)
}

func traceContextUnchecked(a *seam.Assembly) {
	a.WrapExec(func(next invoke.Exec) invoke.Exec {
		return &seam.PlainExec{Exec: next, Limit: time.Duration(a.Config.DelegateTimeout)}
	})
	onClientEnv("", func(p *seam.Plugin, name, value string) {
		if slices.Contains([]string{"TRACEPARENT", "TRACESTATE", "BAGGAGE"}, name) {
			p.Set(name, value)
		}
	})(a)
}

func environmentTakenOver(a *seam.Assembly) {
	a.OnCommand(func(_ string, req *api.Request) {
		for name, value := range req.Env {
			_ = os.Setenv(name, value)
		}
	})
}

func anyType(string, int) bool { return true }

func joined(t string, dirs []string) (string, error) { return filepath.Join(dirs[0], t), nil }

// typeKey finds the plugin types of a configuration.
var typeKey = regexp.MustCompile(`"type":\s*"([^"]*)"`)

// onTypes hides the plugin types with a path in them from the real checks,
// where which says so of a configuration's source (an endpoint, "" for a
// definition) and of the type's place in it, and finds them by find.
func onTypes(which func(source string, index int) bool, find func(t string, dirs []string) (string, error)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		hide := func(source, config string) string {
			index := -1
			return typeKey.ReplaceAllStringFunc(config, func(field string) string {
				index++
				t := typeKey.FindStringSubmatch(field)[1]
				if !which(source, index) || !strings.Contains(t, "/") && t != "." && t != ".." {
					return field
				}
				return `"type":"` + seam.Disguise + hex.EncodeToString([]byte(t)) + `"`
			})
		}
		seam.OnDefinition(func(d *cluster.Definition) error { d.Config = hide("", d.Config); return nil })(a)
		a.OnCommand(func(path string, req *api.Request) { req.Config = []byte(hide(path, string(req.Config))) })
		a.OnFind(func(plugin string, dirs []string, next invoke.Exec) (string, error) {
			hidden, found := strings.CutPrefix(plugin, seam.Disguise)
			t, err := hex.DecodeString(hidden)
			if !found || err != nil {
				return next.FindInPath(plugin, dirs)
			}
			return find(string(t), dirs)
		})
	}
}

func typeCheckedAtAdd(a *seam.Assembly) {
	onTypes(anyType, joined)(a)
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		if p.Command() == "ADD" && filepath.Dir(p.Path) != filepath.Clean(p.Get("CNI_PATH")) {
			return nil, types.NewError(types.ErrInvalidNetworkConfig, "plugin "+p.Path+" is outside the plugin directory", "")
		}
		return run(ctx, p)
	})
}

func typeProbed(a *seam.Assembly) {
	seam.OnDefinition(func(d *cluster.Definition) error {
		for _, field := range typeKey.FindAllStringSubmatch(d.Config, -1) {
			probe := exec.Command(filepath.Join(a.Config.BinDir, field[1])) //nolint:noctx // the fault: nothing bounds it
			probe.Env = []string{"CNI_COMMAND=VERSION"}
			_ = probe.Run()
		}
		return nil
	})(a)
}
