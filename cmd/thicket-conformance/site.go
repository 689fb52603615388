// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/explain"
	plugins "github.com/thicket-cni/thicket/conformance/plugin/all"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/runtime/cases"
	"github.com/thicket-cni/thicket/conformance/site"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick/all"
)

func siteCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:     "site DIR",
		Short:   "Make static pages of published reports",
		Long:    "site makes pages of the reports in DIR, each at <implementation>/<version>/report.json: a matrix, a page for each\nimplementation and each requirement, and badges. The pages need no server.",
		Example: "  thicket-conformance site conformance/reports --out public",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := published(args[0])
			if err != nil {
				return err
			}
			if err := s.Write(out); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d implementations\n", filepath.Join(out, "index.html"), len(s.Implementations))
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "site", "write the pages into this `directory`")
	return c
}

// published is the site of the reports in a directory.
func published(dir string) (*site.Site, error) {
	catalog, err := conformance.Catalog()
	if err != nil {
		return nil, err
	}
	s := &site.Site{Families: []site.Family{
		{Title: "Thick plugins", Profiles: profilesOf(all.Profiles())},
		{Title: "Plugins", Profiles: profilesOf(plugins.Profiles())},
		{Title: "Runtimes", Profiles: profilesOf([]conformance.Profile{cases.Profile()})},
	}}
	for _, k := range catalog.Cases() {
		s.Requirements = append(s.Requirements, k.Requirement)
	}
	s.Explain = func(id string) *site.Explanation { return explained(catalog, id) }
	s.Implementations, err = site.Load(dir)
	return s, err
}

// explained is what explain says of a requirement; nil where it says nothing.
func explained(catalog *suite.Catalog, id string) *site.Explanation {
	page, err := explain.For(catalog, id)
	if err != nil {
		return nil // of an earlier catalog
	}
	e := &site.Explanation{Reports: page.Reports, About: page.About, Steps: page.Steps, Says: page.Says}
	for _, s := range page.Sections {
		e.Sections = append(e.Sections, site.Section(s))
	}
	return e
}

func profilesOf(of []conformance.Profile) []site.Profile {
	var all []site.Profile
	for _, p := range of {
		all = append(all, site.Profile{Name: p.Name, Title: p.Title})
	}
	return all
}

func publishCommand() *cobra.Command {
	var to, name, version string
	c := &cobra.Command{
		Use:   "publish report.json",
		Short: "Put a report where published ones are",
		Long: "publish writes a report to DIR/<implementation>/<version>/report.json, without logs, calls and steps. The report has\n" +
			"to be of a whole run.",
		Example: "  thicket-conformance publish report/report.json --to conformance/reports --name example --version v1.2.0",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := report.ReadReport(args[0])
			if err != nil {
				return err
			}
			path, err := site.Publish(r, to, name, version)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), path)
			return err
		},
	}
	c.Flags().StringVar(&to, "to", filepath.Join("conformance", "reports"), "the `directory` of published reports")
	c.Flags().StringVar(&name, "name", "", "the implementation's `name`, without which it is the report's project or target")
	c.Flags().StringVar(&version, "version", "", "the implementation's `version`, a part of what the report says of it; without it all of that")
	return c
}
