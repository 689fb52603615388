// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/plugin"
)

type initPluginFlags struct {
	draft plugin.Draft
	out   string
}

func initPluginCommand() *cobra.Command {
	var f initPluginFlags
	c := &cobra.Command{
		Use:   "plugin --path FILE",
		Short: "Write a target file for a CNI plugin, from what it answers",
		Long: "init plugin asks a CNI plugin for its versions, writes a target file, executes VERSION, ADD and DEL on a host of\n" +
			"their own, and says what is left to fill in. It exits with 2 when the plugin cannot be judged by the file yet.",
		Example: "  thicket-conformance init plugin --path ./my-plugin\n" +
			"  thicket-conformance init plugin --path ./my-ipam --role ipam --out my-ipam.yaml",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	c.Flags().StringVar(&f.draft.Path, "path", "", "the plugin's executable, a `file`")
	c.Flags().StringVar((*string)(&f.draft.Role), "role", string(plugin.RoleInterface), "what the plugin is for: interface, ipam, chained, or meta (on its own and behind another one)")
	c.Flags().StringVar(&f.draft.Config, "config", "", "the network configuration, a `file` with one plugin's JSON object; without it one is made up")
	c.Flags().StringVar(&f.out, "out", "", "where the target file goes, a `file`; without it <plugin>.yaml in this directory")
	return c
}

func (f *initPluginFlags) run(ctx context.Context, out io.Writer) error {
	if f.draft.Path == "" {
		return fmt.Errorf("--path is missing: the plugin's executable")
	}
	if f.out == "" {
		f.out = filepath.Base(f.draft.Path) + ".yaml"
	}
	if conformance.IsChild() {
		settings, err := f.written()
		if err != nil {
			return err
		}
		conformance.RunChild(settings)
	}
	text, open, err := f.draft.File(filepath.Dir(f.out))
	if err != nil {
		return err
	}
	if err := writeNew(out, f.out, text); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is written.\n", f.out)
	facts, err := f.preflight(ctx)
	for _, todo := range open {
		fmt.Fprintf(out, "to fill in: %s\n", todo)
	}
	if err != nil {
		return fmt.Errorf("%w\n\nCorrect %s and judge it with: thicket-conformance run --target %s", err, f.out, f.out)
	}
	fmt.Fprintf(out, "%s supports %v; ADD and DEL were executed. Judge it with: thicket-conformance run --target %s\n", f.draft.Path, facts.Versions, f.out)
	return nil
}

// written are the settings of the file that was written.
func (f *initPluginFlags) written() (conformance.Settings, error) {
	target, err := conformance.Load(f.out)
	return conformance.Settings{Target: target}, err
}

func (f *initPluginFlags) preflight(ctx context.Context) (*plugin.Facts, error) {
	if _, err := f.written(); err != nil {
		return nil, err
	}
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("ADD and DEL were not executed: root is needed for namespaces, this is uid %d", uid)
	}
	dir, err := os.MkdirTemp("", "ti-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return plugin.Preflight(ctx, dir, func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	})
}
