// SPDX-License-Identifier: Apache-2.0

// Package subjects knows the kinds of target that the suite judges: how each is
// read from a file, which profiles judge it, and what its cases need.
package subjects

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/thicket-cni/thicket/conformance/explain"
	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/plugin"
	plugins "github.com/thicket-cni/thicket/conformance/plugin/all"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/runtime/cases"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/all"
)

// Settings are what every case of a run gets. Target is required.
type Settings struct {
	// Target is judged: Load's, or one's own.
	Target suite.Subject
	// Profiles are judged beside the suite's own. A profile says which kind of
	// target it judges.
	Profiles []suite.Profile
	// Delegates, unless nil, takes the place of the thick plugin that the target file
	// of a runtime names.
	Delegates thick.Target
	// Setup reaches the cases of a target whose kind is not the suite's, in
	// suite.T.
	Setup any
	// NoPreflight has a plugin or a runtime judged although no ADD succeeds at all.
	NoPreflight bool
	// FakeDelegate is a program to execute as the suite's delegate plugin, or its
	// IPAM plugin: one that imports fakes/delegate. Empty means this program itself.
	FakeDelegate string
	// PluginDir holds the real plugins (bridge, host-local …). Cases that need
	// those are skipped without it.
	PluginDir string
	// Kubeconfig names a cluster whose API is used, for a target with the feature
	// kubernetes. Without it the suite starts etcd and kube-apiserver of the
	// directory KubernetesAssets, or of the one that KUBEBUILDER_ASSETS names.
	Kubeconfig, KubernetesAssets string
	// WorkDir is where cases make their directories; empty for the system's.
	WorkDir string
}

// Catalog returns the suite's own profiles, and those of somebody else behind
// them.
func Catalog(more ...suite.Profile) (*suite.Catalog, error) {
	return suite.NewCatalog(slices.Concat(all.Profiles(), plugins.Profiles(), []suite.Profile{cases.Profile()}, more)...)
}

// Load reads a target file of any kind; its key kind says which.
func Load(path string) (suite.Subject, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	var head struct {
		Kind string `yaml:"kind"`
	}
	if err := yaml.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("target %s: %w", path, err)
	}
	switch head.Kind {
	case thick.TargetKind:
		return thick.ParseTarget(data, path, "")
	case plugin.TargetKind:
		return plugin.Parse(data, path)
	case runtime.TargetKind:
		return runtime.Parse(data, path)
	}
	return nil, fmt.Errorf("target %s: kind %q is unknown; there are %s, a thick plugin, %s, any CNI plugin, and %s, whoever executes plugins",
		path, head.Kind, thick.TargetKind, plugin.TargetKind, runtime.TargetKind)
}

// Fill sets what the engine needs to know of the target: its catalog, what its
// cases get, and what runs beside them. survey has features looked for that the
// target does not declare; api, unless nil, is an API server of the caller.
func (s *Settings) Fill(to *suite.Options, survey bool, api *kube.API) (err error) {
	to.Settings = suite.Settings{Subject: s.Target, Setup: s.Setup, WorkDir: s.WorkDir}
	if to.Catalog, err = Catalog(s.Profiles...); err != nil {
		return err
	}
	to.Explain = func(id string) string { return explain.Text(to.Catalog, id) }
	if _, err := os.Stat(cmp.Or(s.Kubeconfig, os.DevNull)); err != nil { // also for a target that has no use for it
		return fmt.Errorf("the kubeconfig: %w", err)
	}
	switch t := s.Target.(type) {
	case *plugin.Target:
		settings := plugin.Settings{Target: t, FakeDelegate: s.FakeDelegate, NoPreflight: s.NoPreflight}
		to.Setup, to.Services, to.Tasks = settings, settings.Services(), settings.Tasks()
	case *runtime.Target:
		return s.fillRuntime(t, to, api)
	case thick.Target:
		settings := thick.Settings{Target: t, FakeDelegate: s.FakeDelegate, PluginDir: s.PluginDir, Kubeconfig: s.Kubeconfig, KubernetesAssets: s.KubernetesAssets}
		to.Setup, to.Services = settings, settings.Services(api)
		if _, runs := t.(thick.LiveTarget); survey && !runs {
			undeclared := thick.Undeclared()
			to.Survey = &undeclared
		}
	}
	return nil
}
