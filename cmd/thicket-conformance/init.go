// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance/targets"
)

func initCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a target file with comments, to fill in",
		Example: "  thicket-conformance init thick --out target.yaml\n" +
			"  thicket-conformance init runtime --out target.yaml\n" +
			"  thicket-conformance init plugin --path ./my-plugin",
	}
	c.AddCommand(initFileCommand("thick", "A target file for a thick plugin: shim and daemon", targets.InitThick),
		initPluginCommand(), initFileCommand("runtime", "A target file for a runtime: whoever executes CNI plugins", targets.InitRuntime))
	return c
}

// initFileCommand writes a file that is the same for everybody.
func initFileCommand(kind, short string, content []byte) *cobra.Command {
	out := ""
	c := &cobra.Command{
		Use:   kind,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return writeNew(c.OutOrStdout(), out, content)
		},
	}
	c.Flags().StringVar(&out, "out", "", "write it to this `file`, which must not be there; empty prints it")
	return c
}

// writeNew writes a file that is not there yet, or prints it without a path.
func writeNew(out io.Writer, path string, content []byte) error {
	if path == "" {
		_, err := out.Write(content)
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--out: %s exists, and is left as it is", path)
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
