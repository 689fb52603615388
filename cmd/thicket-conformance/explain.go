// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/explain"
)

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain ID",
		Short: "Explain a requirement: where it is written, how it is asked, what a failure says",
		Long: "explain says of a requirement what it asks and where that is written, which users reported it, how it is asked,\n" +
			"what a failing answer looks like, and which wrong implementations its case has to fail.",
		Example: "  thicket-conformance explain SOCK-04",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			catalog, err := conformance.Catalog()
			if err != nil {
				return err
			}
			page, err := explain.For(catalog, args[0])
			if err != nil {
				return err
			}
			return page.WriteText(c.OutOrStdout())
		},
		ValidArgsFunction: completeIDs,
	}
}
