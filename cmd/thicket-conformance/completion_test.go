// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// said is what the program prints for these arguments.
func said(t *testing.T, args ...string) string {
	t.Helper()
	c := root()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A shell completes ids with their titles, profiles, and target files.
func TestCompletion(t *testing.T) {
	for args, wants := range map[string][]string{
		"explain SOCK-0":            {"SOCK-04\tAt no instant", ":4\n"},
		"explain SOCK-04 ":          {":4\n"},
		"run --only SOCK-04,sock-1": {"SOCK-04,SOCK-10\t", ":6\n"},
		"run --skip EP-0":           {"EP-01\t"},
		"mutants --ids PLUG-1":      {"PLUG-12\t"},
		"run --profiles add,mu":     {"add,multinet\t"},
		"list --profile ip":         {"ipam\t"},
		"run --target in":           {"in-process\n"},
		"run --target ":             {"yaml\nyml\n", ":8\n"},
		"bench --target conf":       {"yaml\n"},
	} {
		out := said(t, append([]string{cobra.ShellCompRequestCmd}, strings.Split(args, " ")...)...)
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%q completes to %q, want %q", args, out, want)
			}
		}
		if args == "explain SOCK-04 " && strings.Contains(out, "SOCK-") {
			t.Errorf("a second id is completed: %s", out)
		}
	}
}

// Without a command the program says what people want first.
func TestFirstSteps(t *testing.T) {
	out := said(t)
	if strings.Count(out, "\n  thicket-conformance ") != 3 || !strings.Contains(out, "--target TARGET.yaml --report DIR") {
		t.Errorf("%s", out)
	}
	if page := said(t, "explain", "SOCK-04"); !strings.Contains(page, "SOCK-04, a MUST of profile socket") || !strings.Contains(page, "socket-chmod-after-listen") {
		t.Errorf("%s", page)
	}
}
