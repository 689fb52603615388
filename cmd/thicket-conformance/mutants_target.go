// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/mutation"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/targets"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// settingsFor is what the cases of one mutant get.
func (f *mutantsFlags) settingsFor(m *mutation.Mutant) (conformance.Settings, error) {
	s := conformance.Settings{FakeDelegate: f.fake, PluginDir: f.plugins, Kubeconfig: f.kubeconfig, KubernetesAssets: f.assets}
	t, err := f.targetFor(m)
	s.Target = t
	return s, err
}

// targetFor is the target file of the product, with the mutant in the place of
// the part that it is of.
func (f *mutantsFlags) targetFor(m *mutation.Mutant) (thick.Target, error) {
	paths := map[string]string{"mutants": f.binary, "shim": f.shim, "installer": f.installer}
	for name, path := range paths {
		var err error
		if paths[name], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	binary, shim, daemon := paths["mutants"], paths["shim"], m.Name
	if m.Kind == kindShim {
		var err error
		if shim, err = f.link(binary, m.Name); err != nil {
			return nil, err
		}
		daemon = mutation.Baseline
	}
	o := thick.Override{
		Name: "mutant " + m.Name, Shim: shim,
		Daemon:     []string{binary, "--mutant", daemon, "--config", "{{.ConfigFile}}"},
		Version:    []string{binary, "--mutant", m.Name, "--version"},
		Install:    []string{paths["installer"], "install", "--dest", "{{.InstallDir}}", "--shim", shim},
		CheckReady: []string{binary, "--mutant", m.Name, "check-ready"},
		WaitReady:  []string{binary, "--mutant", m.Name, "wait-ready"},
	}
	if m.Kind == kindInstaller {
		o.Install = []string{binary, "--mutant", m.Name, "install", "--dest", "{{.InstallDir}}", "--shim", shim}
	}
	text := targets.ThicketKubernetes
	if !m.Kubernetes {
		text, o.Features = targets.Thicket, []spec.Feature{thick.FeaturePanic}
	}
	return o.Parse(text, "mutant "+m.Name, "/")
}

// link puts the program under the name of a mutant, by which it knows that it
// is that one's shim. A mutant's cases share the link.
func (f *mutantsFlags) link(binary, name string) (string, error) {
	path := filepath.Join(f.links, name)
	if err := os.Symlink(binary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("the shim of mutant %s: %w", name, err)
	}
	return path, nil
}
