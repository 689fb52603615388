// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// expectPlain asserts that an error repeats what somebody wrote in one line, cut,
// and without what steers a terminal.
func expectPlain(t *testing.T, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s is accepted", what)
	case strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }):
		t.Errorf("%s: the error repeats it as it is: %q", what, err)
	case len(err.Error()) > 4*quoteLimit:
		t.Errorf("%s: the error has %d bytes", what, len(err.Error()))
	}
}

// TestHostileTexts: what a tenant writes into an annotation or a definition does
// not steer the terminal of whoever reads the error, and begins no line there
// (SEC-12).
func TestHostileTexts(t *testing.T) {
	const evil = "\x1b[2J\n\u009b1m\x7f\u202e\xff"
	long := strings.Repeat(evil, 1000)
	for _, text := range []string{evil, "\u009b1m\x7f\u202e\n", long} {
		for _, annotation := range []string{
			text, "a," + text, text + "/a", "a@" + text, "a@" + text + "@b", "," + text, `"` + text + `"`, `[{"name":` + text + `}]`, `[{"name":"a"}` + text,
			`[{"name":"` + text[4:] + `","mac":7}]`, `["` + text + `"]`, `[{"name":"a","` + text + `":` + text + `}]`,
		} {
			_, err := ParseSelections(annotation, "ns")
			expectPlain(t, "the annotation "+shown(annotation), err)
		}
	}
	for _, escaped := range []string{`\u001b[2J\n\u009b1m\u007f\u202e`, strings.Repeat(`\u001b[2J\n`, 1000)} {
		for _, config := range []string{
			`{"name":"a","cniVersion":"1.0.0","cniVersions":["` + escaped + `"],"plugins":[{"type":"x"}]}`,
			`{"name":"a","cniVersion":"` + escaped + `","type":"x"}`,
			`{"name":"` + escaped + `","cniVersion":"1.0.0","type":"x"}`,
			`{"name":"a","cniVersion":"1.0.0","type":"/` + escaped + `"}`,
			`{"name":"a","cniVersion":"1.0.0","type":"x","ipam":{"type":"/` + escaped + `"}}`,
			`{"name":"a","cniVersion":"1.0.0","disableCheck":"` + escaped + `","plugins":[{"type":"x"}]}`,
			`{"name":"a","cniVersion":"1.0.0","type":"x","capabilities":{"` + escaped + `":"` + escaped + `"}}`,
			`{"name":"a","cniVersion":"1.0.0","plugins":[{"type":"x","capabilities":{"` + escaped + `":"` + escaped + `"}}]}`,
			`{"name":"a","cniVersion":"1.0.0","plugins":"` + escaped + `"}`,
		} {
			_, err := NewDelegate([]byte(config), "net1", nil)
			expectPlain(t, "the configuration "+shown(config), err)
			_, err = NewDelegate([]byte(config), "net1", &Selection{Name: "a", IPRequest: []string{"10.0.0.1"}})
			expectPlain(t, "the configuration "+shown(config)+" with addresses", err)
		}
	}
	devices := &allotment{from: noDevices{}, pod: &cluster.Pod{}}
	expectPlain(t, "a resource", devices.give(t.Context(), &source{resource: long}))
}

// noDevices does not know any.
type noDevices struct{}

// Of implements Devices.
func (noDevices) Of(context.Context, *cluster.Pod) (map[string][]string, error) {
	return nil, errors.New("nobody knows")
}
