// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// The profile security: what reaches delegates of the client, and which
// executables are delegates.
func init() {
	register(
		mutant{name: "environment-of-client", cases: []string{"SEC-01"}, daemon: environmentOfClient,
			fault: "delegates get all variables of the request"},
		mutant{name: "cni-variables-of-client", cases: []string{"SEC-01"}, daemon: onClientEnv("", func(p *plugin, name, value string) {
			if strings.HasPrefix(name, "CNI_") && name != "CNI_PATH" && p.get(name) == "" {
				p.set(name, value)
			}
		}), fault: "delegates get all variables of the request whose names begin with CNI_"},
		mutant{name: "cni-path-of-client", cases: []string{"SEC-01"}, daemon: onClientEnv("", setVariable("CNI_PATH")),
			fault: "delegates get the CNI_PATH of the request"},
		mutant{name: "cni-path-joined", cases: []string{"SEC-01"}, daemon: onClientEnv("", func(p *plugin, name, value string) {
			if name == "CNI_PATH" {
				p.set(name, p.get(name)+string(filepath.ListSeparator)+value)
			}
		}), fault: "the CNI_PATH of the request is added to the delegates'"},
		mutant{name: "path-of-client", cases: []string{"SEC-01"}, daemon: onClientEnv("", setVariable("PATH")),
			fault: "delegates get the PATH of the request"},
		mutant{name: "environment-of-hot-plug", cases: []string{"SEC-01"}, daemon: onClientEnv(api.MultusDelegateAPIEndpoint, setVariable("CNI_PATH")),
			fault: "delegates get the CNI_PATH of a request on /delegate"},
		mutant{name: "environment-taken-over", cases: []string{"SEC-01"}, daemon: environmentTakenOver,
			fault: "the daemon sets the variables of each request in its own environment"},

		mutant{name: "plugin-type-joined", cases: []string{"SEC-02"}, daemon: onTypes(anyType, joined),
			fault: "a plugin type is joined to the plugin directory, whatever it is"},
		mutant{name: "plugin-type-in-subdirectory", cases: []string{"SEC-02"}, daemon: onTypes(anyType, func(t string, dirs []string) (string, error) {
			if strings.Contains(t, "..") || filepath.IsAbs(t) {
				return "", types.NewError(types.ErrInvalidNetworkConfig, "plugin type "+t, "")
			}
			return joined(t, dirs)
		}), fault: "only '..' and absolute paths are refused as plugin types"},
		mutant{name: "plugin-type-base-name", cases: []string{"SEC-02"}, daemon: onTypes(anyType, func(t string, dirs []string) (string, error) {
			return joined(filepath.Base(t), dirs)
		}), fault: "the last part of a plugin type is executed"},
		mutant{name: "plugin-type-absolute", cases: []string{"SEC-02"}, daemon: onTypes(anyType, func(t string, dirs []string) (string, error) {
			if filepath.IsAbs(t) {
				return t, nil
			}
			return "", types.NewError(types.ErrInvalidNetworkConfig, "plugin type "+t, "")
		}), fault: "an absolute path is executed as a plugin"},
		mutant{name: "plugin-types-of-first-plugin", cases: []string{"SEC-02"}, daemon: onTypes(func(_ string, index int) bool { return index > 0 }, joined),
			fault: "only the first plugin type of a list is checked"},
		mutant{name: "plugin-type-of-hot-plug", cases: []string{"SEC-02"}, daemon: onTypes(func(source string, _ int) bool {
			return source == api.MultusDelegateAPIEndpoint
		}, joined), fault: "the plugin types of a hot-plug's configuration are not checked"},
		mutant{name: "plugin-type-checked-at-add", cases: []string{"SEC-02"}, daemon: typeCheckedAtAdd,
			fault: "plugin types are checked at ADD only, and so executed by the rollback"},
		mutant{name: "plugin-type-probed", cases: []string{"SEC-02"}, daemon: typeProbed,
			fault: "the plugins of a definition are asked for their versions before their types are checked"},
		mutant{name: "plugin-in-path", cases: []string{"SEC-02"}, daemon: func(a *assembly) {
			a.onFind(func(t string, dirs []string, next invoke.Exec) (string, error) {
				path, err := next.FindInPath(t, dirs)
				if found, missing := exec.LookPath(t); err != nil && missing == nil && !strings.Contains(t, "/") {
					return found, nil
				}
				return path, err
			})
		}, fault: "a plugin that is not in the plugin directories is looked for in PATH"},
	)
}

// onClientEnv has f called, for each variable of a request, with each plugin
// that runs for the request's container from then on; path is the endpoint, ""
// for all.
func onClientEnv(path string, f func(p *plugin, name, value string)) func(*assembly) {
	return func(a *assembly) {
		var envs sync.Map
		a.onCommand(func(endpoint string, req *api.Request) {
			if path == "" || path == endpoint {
				envs.Store(req.Env["CNI_CONTAINERID"], maps.Clone(req.Env))
			}
		})
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			if env, known := envs.Load(p.get("CNI_CONTAINERID")); known {
				for name, value := range env.(map[string]string) {
					f(p, name, value)
				}
			}
			return run(ctx, p)
		})
	}
}

// setVariable sets one variable as the client has it.
func setVariable(which string) func(p *plugin, name, value string) {
	return func(p *plugin, name, value string) {
		if name == which {
			p.set(name, value)
		}
	}
}

// environmentOfClient takes the place of the real execution, which filters.
func environmentOfClient(a *assembly) {
	a.wrapExec(func(next invoke.Exec) invoke.Exec {
		return &plainExec{Exec: next, limit: time.Duration(a.config.DelegateTimeout)}
	})
	onClientEnv("", func(p *plugin, name, value string) {
		if p.get(name) == "" {
			p.set(name, value)
		}
	})(a)
}

func environmentTakenOver(a *assembly) {
	a.onCommand(func(_ string, req *api.Request) {
		for name, value := range req.Env {
			_ = os.Setenv(name, value)
		}
	})
}

// finder is an Exec that finds plugins in its own way.
type finder struct {
	invoke.Exec
	find func(plugin string, dirs []string, next invoke.Exec) (string, error)
}

// FindInPath implements invoke.Exec.
func (f *finder) FindInPath(plugin string, dirs []string) (string, error) {
	return f.find(plugin, dirs, f.Exec)
}

// onFind replaces the search for plugins.
func (a *assembly) onFind(find func(plugin string, dirs []string, next invoke.Exec) (string, error)) {
	a.wrapExec(func(next invoke.Exec) invoke.Exec { return &finder{next, find} })
}

func anyType(string, int) bool { return true }

func joined(t string, dirs []string) (string, error) { return filepath.Join(dirs[0], t), nil }

// typeKey finds the plugin types of a configuration.
var typeKey = regexp.MustCompile(`"type":\s*"([^"]*)"`)

// onTypes hides the plugin types with a path in them from the real checks,
// where which says so of a configuration's source (an endpoint, "" for a
// definition) and of the type's place in it, and finds them by find.
func onTypes(which func(source string, index int) bool, find func(t string, dirs []string) (string, error)) func(*assembly) {
	return func(a *assembly) {
		hide := func(source, config string) string {
			index := -1
			return typeKey.ReplaceAllStringFunc(config, func(field string) string {
				index++
				t := typeKey.FindStringSubmatch(field)[1]
				if !which(source, index) || !strings.Contains(t, "/") && t != "." && t != ".." {
					return field
				}
				return `"type":"` + disguise + hex.EncodeToString([]byte(t)) + `"`
			})
		}
		onDefinition(func(d *cluster.Definition) error { d.Config = hide("", d.Config); return nil })(a)
		a.onCommand(func(path string, req *api.Request) { req.Config = []byte(hide(path, string(req.Config))) })
		a.onFind(func(plugin string, dirs []string, next invoke.Exec) (string, error) {
			hidden, found := strings.CutPrefix(plugin, disguise)
			t, err := hex.DecodeString(hidden)
			if !found || err != nil {
				return next.FindInPath(plugin, dirs)
			}
			return find(string(t), dirs)
		})
	}
}

func typeCheckedAtAdd(a *assembly) {
	onTypes(anyType, joined)(a)
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		if p.command() == "ADD" && filepath.Dir(p.path) != filepath.Clean(p.get("CNI_PATH")) {
			return nil, types.NewError(types.ErrInvalidNetworkConfig, "plugin "+p.path+" is outside the plugin directory", "")
		}
		return run(ctx, p)
	})
}

func typeProbed(a *assembly) {
	onDefinition(func(d *cluster.Definition) error {
		for _, field := range typeKey.FindAllStringSubmatch(d.Config, -1) {
			probe := exec.Command(filepath.Join(a.config.BinDir, field[1]))
			probe.Env = []string{"CNI_COMMAND=VERSION"}
			_ = probe.Run()
		}
		return nil
	})(a)
}
