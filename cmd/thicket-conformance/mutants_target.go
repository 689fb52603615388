// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/thicket-cni/thicket/conformance"
)

// settingsFor is what the cases of one mutant get: the target file of the
// product, with the mutant in the place of the part that it is of.
func (f *mutantsFlags) settingsFor(m *mutant) (conformance.Settings, error) {
	s := conformance.Settings{FakeDelegate: f.fake, PluginDir: f.plugins, Kubeconfig: f.kubeconfig, KubernetesAssets: f.assets}
	var err error
	s.Target, err = f.mutantTarget(m)
	return s, err
}

func (f *mutantsFlags) mutantTarget(m *mutant) (conformance.Target, error) {
	text := conformance.ThicketTarget
	if m.Kubernetes {
		text = conformance.ThicketKubernetesTarget
	}
	var file map[string]any
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(f.binary)
	if err != nil {
		return nil, err
	}
	shim, err := filepath.Abs(f.shim)
	if err != nil {
		return nil, err
	}
	installer, err := filepath.Abs(f.installer)
	if err != nil {
		return nil, err
	}
	daemon := m.Name
	if m.Kind == kindShim {
		if shim, err = f.link(binary, m.Name); err != nil {
			return nil, err
		}
		daemon = baseline
	}
	file["name"] = "mutant " + m.Name
	file["shim"].(map[string]any)["path"] = shim
	file["daemon"].(map[string]any)["command"] = []string{binary, "--mutant", daemon, "--config", "{{.ConfigFile}}"}
	file["version"] = []string{binary, "--mutant", m.Name, "--version"}
	file["install"] = []string{installer, "install", "--dest", "{{.InstallDir}}", "--shim", shim}
	if m.Kind == kindInstaller {
		file["install"] = []string{binary, "--mutant", m.Name, "install", "--dest", "{{.InstallDir}}", "--shim", shim}
	}
	file["client"] = map[string]any{
		"checkReady": []string{binary, "--mutant", m.Name, "check-ready"},
		"waitReady":  []string{binary, "--mutant", m.Name, "wait-ready"},
	}
	if !m.Kubernetes {
		file["features"] = append(file["features"].([]any), conformance.FeaturePanic)
	}
	text, err = yaml.Marshal(file)
	if err != nil {
		return nil, err
	}
	return conformance.ParseTarget(text, "mutant "+m.Name, "/")
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
