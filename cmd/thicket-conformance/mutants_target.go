// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/mutation"
	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/targets"
	"github.com/thicket-cni/thicket/conformance/thick"
	thinruntime "github.com/thicket-cni/thicket/fakes/runtime"
)

// settingsFor is what the cases of one mutant get.
func (f *mutantsFlags) settingsFor(m *mutation.Mutant) (conformance.Settings, error) {
	s := conformance.Settings{FakeDelegate: f.fake, PluginDir: f.plugins, Kubeconfig: f.kubeconfig, KubernetesAssets: f.assets}
	if m.Family == thinruntime.Name {
		t, err := f.thinRuntimeTarget(m)
		s.Target, s.NoPreflight = t, true
		return s, err
	}
	if text, ok := thinTargets[m.Family]; ok {
		t, err := f.thinTarget(m, text)
		// The case is to notice what a preflight would.
		s.Target, s.NoPreflight = t, true
		return s, err
	}
	t, err := f.targetFor(m)
	if err != nil || m.Family != familyDelegating {
		s.Target = t
		return s, err
	}
	s.Delegates, s.NoPreflight = t, true
	s.Target, err = runtime.Override{Name: t.Name(), Thick: t.Name()}.Parse(targets.ThicketRuntime, t.Name())
	return s, err
}

// familyDelegating is the family of mutants of the product that are judged as the
// runtime of their delegates.
const familyDelegating = "delegating"

// familyOf is the family of a mutant of the product.
func familyOf(m *mutation.Mutant, catalog *suite.Catalog) string {
	for _, id := range m.Cases {
		if c, known := catalog.Find(id); known && c.Profile == runtime.Name {
			return familyDelegating
		}
	}
	return ""
}

// thinTargets are the target files of the CNI plugin's roles.
var thinTargets = map[string][]byte{"thin-veth": targets.ThinVeth, "thin-ipam": targets.ThinIPAM, "thin-chain": targets.ThinChain}

// thinTarget is the target file of a role of the suite's small CNI plugin, whose
// executable is the program under the name of role and fault.
func (f *mutantsFlags) thinTarget(m *mutation.Mutant, text []byte) (*conformance.Plugin, error) {
	binary, err := filepath.Abs(f.thin)
	if err != nil {
		return nil, err
	}
	name := m.Family
	if m.Name != mutation.Baseline {
		name += "." + m.Name
	}
	path, err := f.link(binary, name)
	if err != nil {
		return nil, err
	}
	return plugin.Override{Name: "mutant " + m.Name, Path: path}.Parse(text, "mutant "+m.Name)
}

// thinRuntimeTarget is the target file of the suite's small runtime, whose program
// has the fault's name.
func (f *mutantsFlags) thinRuntimeTarget(m *mutation.Mutant) (*conformance.Runtime, error) {
	binary, err := filepath.Abs(f.thinRuntime)
	if err != nil {
		return nil, err
	}
	name := thinruntime.Name
	if m.Name != mutation.Baseline {
		name += "." + m.Name
	}
	path, err := f.link(binary, name)
	if err != nil {
		return nil, err
	}
	return runtime.Override{Name: "mutant " + m.Name, Adapter: path}.Parse(targets.ThinRuntime, "mutant "+m.Name)
}

// targetFor is the target file of the product, with the mutant in the place of
// the part that it is of.
func (f *mutantsFlags) targetFor(m *mutation.Mutant) (thick.Target, error) {
	if m.Family == familySecond {
		return f.secondTarget(m)
	}
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

// familySecond is the family of mutants of the second implementation; their names
// begin with it.
const familySecond = "second"

// secondTarget is the second implementation's target file with a fault.
func (f *mutantsFlags) secondTarget(m *mutation.Mutant) (thick.Target, error) {
	binary, err := filepath.Abs(f.second)
	if err != nil {
		return nil, err
	}
	o := thick.Override{
		Name: "mutant " + m.Name, Shim: binary, Daemon: []string{binary, "daemon", "--config", "{{.ConfigFile}}"},
		Version: []string{binary, "version"}, Install: []string{binary, "install", "{{.InstallDir}}"},
	}
	fault := strings.TrimPrefix(m.Name, familySecond+"-")
	switch {
	case m.Kind == kindShim:
		if o.Shim, err = f.link(binary, fault); err != nil {
			return nil, err
		}
	case m.Name != mutation.Baseline:
		o.Daemon = append(o.Daemon, "--fault", fault)
	}
	return o.Parse(targets.Second, "mutant "+m.Name, "/")
}

// link puts a program under the name of a mutant, by which it knows that it is
// that one's shim or plugin. A mutant's cases share the link.
func (f *mutantsFlags) link(binary, name string) (string, error) {
	path := filepath.Join(f.links, name)
	if err := os.Symlink(binary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("the executable of mutant %s: %w", name, err)
	}
	return path, nil
}
