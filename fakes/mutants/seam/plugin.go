// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"context"
)

// OnConf changes the configuration that plugins get at a command.
func OnConf(command string, f func(p *Plugin, conf map[string]any)) func(*Assembly) {
	return OnVariables(command, func(p *Plugin) { p.Edit(func(conf map[string]any) { f(p, conf) }) })
}

// OnVariables changes a plugin before it runs a command.
func OnVariables(command string, f func(p *Plugin)) func(*Assembly) {
	return func(a *Assembly) {
		a.OnPlugin(func(ctx context.Context, p *Plugin, run RunPlugin) ([]byte, error) {
			if p.Command() == command {
				f(p)
			}
			return run(ctx, p)
		})
	}
}

// DropPrevResult takes prevResult out of a configuration.
func DropPrevResult(_ *Plugin, conf map[string]any) { delete(conf, "prevResult") }
