// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance"
)

// row is a case as list prints it.
type row struct {
	ID      string            `json:"id"`
	Level   conformance.Level `json:"level"`
	Profile string            `json:"profile"`
	Title   string            `json:"title"`
	Source  string            `json:"source"`
}

func listCommand() *cobra.Command {
	var profiles []string
	var output string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the requirements",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			catalog, err := conformance.Catalog()
			if err != nil {
				return err
			}
			selection := conformance.Selection{Profiles: profiles}
			if output == "markdown" {
				return catalog.WriteMarkdown(c.OutOrStdout(), selection)
			}
			cases, err := catalog.Select(selection)
			if err != nil {
				return err
			}
			rows := make([]row, 0, len(cases))
			for _, k := range cases {
				rows = append(rows, row{k.ID, k.Level, k.Profile, k.Title, k.Source})
			}
			return render(c.OutOrStdout(), output, rows)
		},
	}
	c.Flags().StringSliceVar(&profiles, "profile", nil, "only these `profiles`")
	c.Flags().StringVarP(&output, "output", "o", "table", "`form`: table, json or markdown")
	return c
}

// render prints the rows in the form that was asked for.
func render(w io.Writer, form string, rows []row) error {
	switch form {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	case "table":
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tLEVEL\tPROFILE\tREQUIREMENT\tSOURCE")
		for _, r := range rows {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Level, r.Profile, r.Title, r.Source)
		}
		return t.Flush()
	}
	return fmt.Errorf("--output %q is unknown; there are table, json and markdown", form)
}
