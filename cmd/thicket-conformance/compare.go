// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance/report"
)

func compareCommand() *cobra.Command {
	var html string
	var gate bool
	c := &cobra.Command{
		Use:     "compare A.json B.json …",
		Short:   "Set reports of several implementations side by side",
		Example: "  thicket-conformance compare report/thicket/report.json report/multus/report.json --html report/compare.html",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, paths []string) error {
			var reports []*report.Report
			for _, path := range paths {
				r, err := report.ReadReport(path)
				if err != nil {
					return err
				}
				reports = append(reports, r)
			}
			compared, err := report.Compare(reports...)
			if err != nil {
				return err
			}
			if html != "" {
				var page bytes.Buffer
				if err := compared.WriteHTML(&page); err != nil {
					return fmt.Errorf("%s: %w", html, err)
				}
				if err := os.WriteFile(html, page.Bytes(), 0o600); err != nil {
					return fmt.Errorf("the page: %w", err)
				}
			}
			if err := compared.WriteText(c.OutOrStdout()); err != nil || !gate {
				return err
			}
			return regressed(c.OutOrStdout(), compared)
		},
	}
	c.Flags().StringVar(&html, "html", "", "write one self-contained page into this `file`")
	c.Flags().BoolVar(&gate, "fail-on-regression", false, "exit with 1 when a MUST of a later report is worse than in the first one")
	return c
}

// regressed says what is worse in the later reports than in the first, and fails
// when a MUST is.
func regressed(out io.Writer, c *report.Comparison) (err error) {
	for i, r := range c.Reports[1:] {
		r.Hold(c.Reports[0])
		worse := r.Regressions()
		if len(worse) == 0 {
			fmt.Fprintf(out, "\n%s: nothing is worse than in %s\n", c.Names[i+1], c.Names[0])
			continue
		}
		fmt.Fprintf(out, "\n%s: worse than in %s: %s\n", c.Names[i+1], c.Names[0], ids(worse))
		if len(r.Gating()) > 0 {
			err = errFailed
		}
	}
	return err
}
