// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"slices"
	"strings"
	"testing"
)

const head = "apiVersion: conformance.thicket-cni.io/v1alpha1\nkind: Runtime\nname: r\nroot: /bin\n"

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"kind":     {"apiVersion: conformance.thicket-cni.io/v1alpha1\nkind: Plugin\n", "kind Runtime"},
		"way":      {head, "runtime is missing"},
		"ways":     {head + "runtime: {adapter: true, cri: /run/x}\n", "runtime.adapter and runtime.cri: a runtime is asked in one way"},
		"del":      {head + "runtime: {commands: {add: [\"true\"]}}\n", "runtime.commands.del is missing"},
		"gc":       {head + "runtime: {commands: {add: [\"true\"], del: [\"true\"]}}\nfeatures: [gc]\n", "runtime.commands.gc is missing, and features has gc"},
		"key":      {head + "runtime: {adaptor: x}\n", `the key "adaptor" is unknown; is "adapter" meant?`},
		"feature":  {head + "runtime: {adapter: \"true\"}\nfeatures: [lifecyle]\n", `"lifecyle" is unknown; is "lifecycle" meant?`},
		"version":  {head + "runtime: {adapter: \"true\"}\nversions: [\"1.0\"]\n", `"1.0" is not a version`},
		"missing":  {head + "runtime: {adapter: no-such-program}\n", "/bin/no-such-program"},
		"template": {head + "runtime: {commands: {add: [\"true\", \"{{.Nets}}\"], del: [\"true\"]}}\n", "runtime.commands.add"},
		"ready":    {head + "runtime: {adapter: \"true\"}\ndaemon: {ready: /x}\n", "daemon.ready is of no use"},
	} {
		if _, err := Parse([]byte(c.text), "r.yaml"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want it to have %s", name, err, c.want)
		}
	}
}

// TestTakes reads from command lines what the caller chooses.
func TestTakes(t *testing.T) {
	for text, want := range map[string]Takes{
		`runtime: {adapter: "true"}`: {ID: true, IfName: true, Netns: true, Args: true, Valid: true},
		`runtime: {commands: {add: ["true", "{{.Netns}}"], del: ["true"]}, env: {CNI_ARGS: "{{.Args}}"}}`: {Netns: true, Args: true},
	} {
		target, err := Parse([]byte(head+text+"\n"), "r.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if got := (&commands{e: &Env{Target: target}}).Takes(); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	target, err := Parse([]byte(head+"runtime: {adapter: \"true\"}\nversions: [1.10.0, 0.4.0, 1.9.0]\n"), "r.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := target.Versions(); !slices.Equal(got, []string{"0.4.0", "1.9.0", "1.10.0"}) {
		t.Errorf("%v", got)
	}
}
