// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/thicket-cni/thicket/pkg/brief"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// listLedger prints the ledger as a table, for a person who wants to know
// what the daemon believes in.
func listLedger(cniDir string, out io.Writer) error {
	entries, err := ledger.List(cniDir)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CONTAINER\tSTATE\tPOD\tATTACHMENTS\tNETNS\tSINCE")
	for _, e := range entries {
		if e.Err != nil {
			fmt.Fprintf(t, "%s\tdamaged\t%s\t\t\t\n", e.ContainerID, cell(e.Err.Error()))
			continue
		}
		r := e.Record
		var attachments []string
		for _, a := range r.Attachments {
			attachments = append(attachments, a.Interface+"="+a.Definition)
		}
		fmt.Fprintf(t, "%s\t%s\t%s/%s\t%s\t%s\t%s\n", r.ContainerID, r.State, cell(r.Pod.Namespace), cell(r.Pod.Name),
			cell(strings.Join(attachments, ",")), cell(r.Netns), r.Created.Local().Format(time.DateTime))
	}
	return t.Flush()
}

// cell is a text of a record, which need not be this version's, in its own cell.
func cell(text string) string { return strings.ReplaceAll(brief.PlainLine(text), "\t", `\t`) }
