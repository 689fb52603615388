// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance/report"
)

func compareCommand() *cobra.Command {
	var html string
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
			return compared.WriteText(c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&html, "html", "", "write one self-contained page into this `file`")
	return c
}
