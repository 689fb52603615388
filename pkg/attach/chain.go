// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/utils"
	"github.com/containernetworking/cni/pkg/version"
)

// The plugins of one network are executed here as the CNI spec, section 4,
// has it, and not by libcni, which writes each result into a cache of its own:
// the ledger has it already, and the second copy costs every attachment more
// than the ledger itself. FuzzLikeLibcni compares the two, and lists in what
// they differ.

// addPlugins runs ADD of a network's plugins in order. Each gets the result of
// the one before; the last one's, in the newest version, is the network's.
func (e *Engine) addPlugins(ctx context.Context, c *delegateCall) (latest *types100.Result, err error) {
	if err := utils.ValidateNetworkName(c.list.Name); err != nil {
		return nil, err
	}
	var result types.Result
	for _, p := range c.list.Plugins {
		path, stdin, err := e.prepare(c, p, result)
		if err != nil {
			return nil, err
		}
		if result, err = invoke.ExecPluginWithResult(ofNetwork(ctx, c.list.Name), path, stdin, e.arguments("ADD", c), answers{e.exec}); err != nil {
			return nil, fmt.Errorf("plugin %q: %w", p.Network.Type, err) // what it printed may be no result
		}
		if latest, err = current(result); err != nil {
			return nil, fmt.Errorf("plugin %q: %w", p.Network.Type, err)
		}
	}
	return latest, nil
}

// delPlugins runs DEL of a network's plugins in reverse order, up to the first
// that fails. All of them get what the ADD had answered, nil where that is not
// known.
func (e *Engine) delPlugins(ctx context.Context, c *delegateCall, prevResult types.Result) error {
	for _, p := range slices.Backward(c.list.Plugins) {
		if err := e.execute(ctx, "DEL", c, p, prevResult); err != nil {
			return err
		}
	}
	return nil
}

// checkPlugins runs CHECK of a network's plugins in order, up to the first that
// fails. All of them get what the ADD had answered.
func (e *Engine) checkPlugins(ctx context.Context, c *delegateCall, prevResult types.Result) error {
	for _, p := range c.list.Plugins {
		if err := e.execute(ctx, "CHECK", c, p, prevResult); err != nil {
			return err
		}
	}
	return nil
}

// execute runs one plugin with a command that answers nothing.
func (e *Engine) execute(ctx context.Context, command string, c *delegateCall, p *libcni.PluginConfig, prevResult types.Result) error {
	path, stdin, err := e.prepare(c, p, prevResult)
	if err != nil {
		return err
	}
	return invoke.ExecPluginWithoutResult(ofNetwork(ctx, c.list.Name), path, stdin, e.arguments(command, c), e.exec)
}

// prepare finds a plugin and makes the configuration that it reads (CNI spec,
// section 4, "Deriving execution configuration from plugin configuration").
func (e *Engine) prepare(c *delegateCall, p *libcni.PluginConfig, prevResult types.Result) (path string, stdin []byte, err error) {
	if path, err = e.find(c, p.Network.Type); err != nil {
		return "", nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(p.Bytes, &keys); err != nil {
		return "", nil, types.NewError(types.ErrDecodingFailure, fmt.Sprintf("plugin %q: %v", p.Network.Type, err), "")
	}
	maps.DeleteFunc(keys, func(key string, _ json.RawMessage) bool {
		return ofTheProtocol(key) || strings.EqualFold(key, "name") || strings.EqualFold(key, "cniVersion")
	})
	inject := map[string]any{"name": c.list.Name, "cniVersion": c.list.CNIVersion}
	maps.Copy(inject, c.more)
	if prevResult != nil {
		inject["prevResult"] = Encodable(prevResult)
	}
	wanted := map[string]any{}
	for capability, supported := range p.Network.Capabilities {
		if value, given := c.rt.CapabilityArgs[capability]; supported && given {
			wanted[capability] = value
		}
	}
	if len(wanted) > 0 {
		inject["runtimeConfig"] = wanted
	}
	for key, value := range inject {
		if keys[key], err = json.Marshal(value); err != nil {
			return "", nil, fmt.Errorf("%s of plugin %q: %w", key, p.Network.Type, err)
		}
	}
	stdin, err = json.Marshal(keys)
	return path, stdin, err
}

// ofTheProtocol reports whether a key of what a plugin reads is the protocol's, which
// a network's configuration cannot set (RT-06, RT-28, RT-29; CNI spec, section 1,
// "Reserved keys", and section 4): capabilities is for who executes plugins, and
// the others are what that one says. args is reserved too, and is the place of a
// selection's cni-args. Case makes no difference to encoding/json, which plugins
// read their configuration with: to them "PrevResult" is prevResult.
func ofTheProtocol(key string) bool {
	const prefix = "cni.dev/"
	return strings.EqualFold(key, "capabilities") || strings.EqualFold(key, "prevResult") || strings.EqualFold(key, "runtimeConfig") ||
		len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix)
}

// cniArguments are a plugin's environment variables (CNI spec, section 2). They
// implement invoke.CNIArgs without the daemon's whole environment, which
// invoke.Args begins with and of which a plugin gets PATH alone (SEC-01).
type cniArguments []string

// AsEnv implements invoke.CNIArgs.
func (a cniArguments) AsEnv() []string { return a }

func (e *Engine) arguments(command string, c *delegateCall) cniArguments {
	args := make([]string, len(c.rt.Args))
	for i, pair := range c.rt.Args {
		args[i] = pair[0] + "=" + pair[1]
	}
	return cniArguments{
		"PATH=" + os.Getenv("PATH"),
		"CNI_COMMAND=" + command,
		"CNI_CONTAINERID=" + c.rt.ContainerID,
		"CNI_NETNS=" + c.rt.NetNS,
		"CNI_ARGS=" + strings.Join(args, ";"),
		"CNI_IFNAME=" + c.rt.IfName,
		"CNI_PATH=" + strings.Join(e.binDirs, ":"),
	}
}

// prevResult is the recorded result of a network's ADD in the version of its
// configuration; nil for configurations older than 0.4.0, whose plugins know
// none at DEL.
func (c *delegateCall) prevResult() (types.Result, error) {
	known, err := version.GreaterThanOrEqualTo(configVersion(c.list), "0.4.0")
	if err != nil || !known {
		return nil, err
	}
	result, err := resultOf(c.at)
	if err != nil {
		return nil, fmt.Errorf("the recorded result: %w", err)
	}
	c.at.Parsed = result // each plugin gets it, and the status that is taken away has it
	return result.GetAsVersion(c.list.CNIVersion)
}
