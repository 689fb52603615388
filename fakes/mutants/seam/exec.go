// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// Disguise is what a name gets that the real checks must not see.
const Disguise = "x9"

// PlainExec runs plugins as a simple daemon does: the plugin alone is killed,
// and what it started lives on.
type PlainExec struct {
	invoke.Exec
	Limit time.Duration
	version.PluginDecoder
}

// ExecPlugin implements invoke.Exec.
func (e *PlainExec) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	var out bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout = environ, bytes.NewReader(stdin), &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 100 * time.Millisecond
	err := cmd.Run()
	if err == nil {
		return out.Bytes(), nil
	}
	var own types.Error
	if json.Unmarshal(out.Bytes(), &own) == nil && own.Msg != "" {
		return nil, &own
	}
	var conf struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(stdin, &conf)
	return nil, types.NewError(types.ErrTryAgainLater, "network "+conf.Name+": "+err.Error(), "")
}

// Decode implements invoke.Exec.
func (e *PlainExec) Decode(b []byte) (version.PluginInfo, error) { return e.PluginDecoder.Decode(b) }

// Plugin is one execution of a delegate plugin, to be changed before it runs.
type Plugin struct {
	Path  string
	Stdin []byte
	env   []string
	// Request is whose it is, nil for none.
	Request *request
}

// RunPlugin runs a plugin as it is now.
type RunPlugin func(ctx context.Context, p *Plugin) ([]byte, error)

// OnPlugin has f called in place of every execution of a plugin.
func (a *Assembly) OnPlugin(f func(ctx context.Context, p *Plugin, run RunPlugin) ([]byte, error)) {
	a.WrapExec(func(next invoke.Exec) invoke.Exec { return &execLayer{next, f} })
}

type execLayer struct {
	invoke.Exec
	f func(ctx context.Context, p *Plugin, run RunPlugin) ([]byte, error)
}

// ExecPlugin implements invoke.Exec.
func (e *execLayer) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	p := &Plugin{Path: path, Stdin: stdin, env: environ, Request: RequestOf(ctx)}
	return e.f(ctx, p, func(ctx context.Context, p *Plugin) ([]byte, error) {
		return e.Exec.ExecPlugin(ctx, p.Path, p.Stdin, p.env)
	})
}

// Get returns a variable of the plugin's environment.
func (p *Plugin) Get(name string) string {
	value := ""
	for _, kv := range p.env {
		if v, found := strings.CutPrefix(kv, name+"="); found {
			value = v
		}
	}
	return value
}

// Set sets a variable of the plugin's environment.
func (p *Plugin) Set(name, value string) { p.env = append(p.env, name+"="+value) }

// Command is the CNI command of the execution.
func (p *Plugin) Command() string { return p.Get("CNI_COMMAND") }

// Edit changes the plugin's configuration.
func (p *Plugin) Edit(change func(conf map[string]any)) {
	var conf map[string]any
	if json.Unmarshal(p.Stdin, &conf) != nil {
		return
	}
	change(conf)
	if data, err := json.Marshal(conf); err == nil {
		p.Stdin = data
	}
}

// CommandOfRequest is the request's command; "" for what the daemon does by itself.
func (p *Plugin) CommandOfRequest() string {
	if p.Request == nil {
		return ""
	}
	return p.Request.command
}

// Rollback says whether the plugin runs to undo what its request did.
func (p *Plugin) Rollback() bool {
	return p.Command() == "DEL" && p.CommandOfRequest() == "ADD"
}

// NetworkOf is the network in a plugin's configuration.
func (p *Plugin) NetworkOf() string {
	var conf struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(p.Stdin, &conf)
	return conf.Name
}
