// SPDX-License-Identifier: Apache-2.0

// Command thicket-conformance judges thick CNI plugins, requirement by
// requirement.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/inprocess"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/pkg/buildinfo"
)

// version is set at build time with -ldflags "-X main.version=…".
var version string

// The exit statuses, for CI to gate on.
const (
	exitFailed = 1 // a MUST failed
	exitBroken = 2 // the suite could not run
)

// errFailed says that the run was complete and a MUST failed.
var errFailed = errors.New("a MUST failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	switch {
	case errors.Is(err, errFailed):
		os.Exit(exitFailed)
	case err != nil:
		fmt.Fprintf(os.Stderr, "thicket-conformance: %v\n", err)
		os.Exit(exitBroken)
	}
}

// firstSteps is what most people want of the program, for those that name no
// command.
const firstSteps = `thicket-conformance judges CNI plugins, thick ones and others, and container runtimes, requirement by
requirement. As root:

  thicket-conformance run --target TARGET.yaml --report DIR
      judge an implementation. TARGET.yaml says how to start it: "thicket-conformance init" writes one
      to fill in, conformance/targets/ has examples, and --target in-process needs no file

  thicket-conformance run --target TARGET.yaml --only SOCK-04 -v
      judge it by some cases again, and show its log: an id, several, or a pattern (SOCK-*)

  thicket-conformance explain SOCK-04
      what a requirement asks, where it is written, how it is asked, and what a failure says

thicket-conformance --help has all commands, and the exit statuses.
`

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "thicket-conformance",
		Short: "Judge a thick CNI plugin, requirement by requirement",
		Long: "thicket-conformance judges thick CNI plugins (a shim that the container runtime executes, and a node daemon)\n" +
			"requirement by requirement. It exits with 0 when every MUST passed, 1 when one failed, 2 when it could not run.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(c.OutOrStdout(), firstSteps)
			return err
		},
		Version:           fmt.Sprintf("%s (suite %s)", buildinfo.Version(version), conformance.Version),
		PersistentPreRunE: settleCommand,
		SilenceUsage:      true,
		SilenceErrors:     true,
	}
	c.PersistentFlags().String(configFile, "", "flags by name, a YAML `file`. What the command line does not set is taken from the environment ("+envPrefix+"TARGET for --target), or else from this file")
	c.AddCommand(benchCommand(), chaosCommand(), compareCommand(), explainCommand(), listCommand(), runCommand(), mutantsCommand(), initCommand(), siteCommand(), publishCommand())
	completions(c)
	return c
}

// targetFlags are what names a target and what its cases need.
type targetFlags struct{ target, fake, plugins, kubeconfig, assets string }

func (f *targetFlags) register(c *cobra.Command) {
	beside := besideSelf()
	c.Flags().StringVar(&f.target, "target", "", "what to judge: in-process (Thicket's own daemon, linked in), socket:DIR (a daemon that already runs, by its run directory: only what cannot hurt it), or a target's YAML `file`")
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "for a target with the feature kubernetes: the cluster whose API to use, a `file`; without it an API server is started. "+
		"Pods (which nobody runs) and network definitions are made in namespaces with random names, and removed")
	c.Flags().StringVar(&f.assets, "kubernetes-assets", filepath.Join(beside, "k8s"), "etcd and kube-apiserver, a `directory`; $KUBEBUILDER_ASSETS goes before it")
	c.Flags().StringVar(&f.fake, "fake-delegate", "", "a program to execute as the suite's delegate plugin, a `file` that imports fakes/delegate; empty is this program itself")
	c.Flags().StringVar(&f.plugins, "plugins", filepath.Join(beside, "cni"), "the real plugins (bridge, host-local, …), a `directory`")
}

// thick are the settings of a target that is a thick plugin.
func (f *targetFlags) thick(target thick.Target) thick.Settings {
	return thick.Settings{Target: target, FakeDelegate: f.fake, PluginDir: f.plugins, Kubeconfig: f.kubeconfig, KubernetesAssets: f.assets}
}

// names reports whether a flag is one of those that name a target and what its
// cases need.
func (f *targetFlags) names(flag string) bool {
	return slices.Contains([]string{"target", "kubeconfig", "kubernetes-assets", "fake-delegate", "plugins"}, flag)
}

// besideSelf is the directory of this program, where the others stand too.
func besideSelf() string {
	self, err := os.Executable()
	if err != nil {
		return "."
	}
	return filepath.Dir(self)
}

// writeJSON writes a report to a file; an empty path means none.
func writeJSON(path string, report any) error {
	if path == "" {
		return nil
	}
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644) //nolint:gosec // a report is to be read
}

func (f *targetFlags) settings() (conformance.Settings, error) {
	s := conformance.Settings{FakeDelegate: f.fake, PluginDir: f.plugins, Kubeconfig: f.kubeconfig, KubernetesAssets: f.assets}
	var err error
	runDir, running := strings.CutPrefix(f.target, "socket:")
	switch {
	case f.target == "":
		return s, errors.New("--target is missing: in-process, socket:DIR, or a target's YAML file such as conformance/targets/thicket.yaml")
	case f.target == "in-process":
		s.Target, err = inprocess.Bundled()
	case running:
		s.Target, err = conformance.SocketTarget(runDir)
	default:
		s.Target, err = conformance.Load(f.target)
	}
	return s, err
}
