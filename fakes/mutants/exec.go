// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
)

// plugin is one execution of a delegate plugin, to be changed before it runs.
type plugin struct {
	path  string
	stdin []byte
	env   []string
	// request is whose it is, nil for none.
	request *request
}

// runPlugin runs a plugin as it is now.
type runPlugin func(ctx context.Context, p *plugin) ([]byte, error)

// onPlugin has f called in place of every execution of a plugin.
func (a *assembly) onPlugin(f func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error)) {
	a.wrapExec(func(next invoke.Exec) invoke.Exec { return &execLayer{next, f} })
}

type execLayer struct {
	invoke.Exec
	f func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error)
}

// ExecPlugin implements invoke.Exec.
func (e *execLayer) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	p := &plugin{path: path, stdin: stdin, env: environ, request: requestOf(ctx)}
	return e.f(ctx, p, func(ctx context.Context, p *plugin) ([]byte, error) {
		return e.Exec.ExecPlugin(ctx, p.path, p.stdin, p.env)
	})
}

// get returns a variable of the plugin's environment.
func (p *plugin) get(name string) string {
	value := ""
	for _, kv := range p.env {
		if v, found := strings.CutPrefix(kv, name+"="); found {
			value = v
		}
	}
	return value
}

// set sets a variable of the plugin's environment.
func (p *plugin) set(name, value string) { p.env = append(p.env, name+"="+value) }

func (p *plugin) command() string { return p.get("CNI_COMMAND") }

// edit changes the plugin's configuration.
func (p *plugin) edit(change func(conf map[string]any)) {
	var conf map[string]any
	if json.Unmarshal(p.stdin, &conf) != nil {
		return
	}
	change(conf)
	if data, err := json.Marshal(conf); err == nil {
		p.stdin = data
	}
}

// commandOfRequest is the request's command; "" for what the daemon does by itself.
func (p *plugin) commandOfRequest() string {
	if p.request == nil {
		return ""
	}
	return p.request.command
}

// rollback says whether the plugin runs to undo what its request did.
func (p *plugin) rollback() bool {
	return p.command() == "DEL" && p.commandOfRequest() == "ADD"
}
