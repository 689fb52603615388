// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
)

// PositionKey is the key of a plugin's configuration that says which plugin of
// its list it is.
const PositionKey = "x-position"

// RealInterface is a fake that makes an interface at ADD and removes it at DEL.
func RealInterface() script.Fake {
	return script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true}}
}

// Numbered gives each plugin of a list its position, see placesOf.
func Numbered(steps ...script.Fake) []script.Fake {
	for i := range steps {
		extra := map[string]any{PositionKey: i}
		for k, v := range steps[i].Extra {
			extra[k] = v
		}
		steps[i].Extra = extra
	}
	return steps
}

// PlaceOf names the plugin of the attachment that a call was for, such as
// "default eth0" or, in a list made by numbered, "blue net1 plugin 2".
func PlaceOf(c script.Call) string {
	ginkgo.GinkgoHelper()
	place := c.Network + " " + c.Interface
	if position, ok := c.Config()[PositionKey]; ok {
		place += fmt.Sprintf(" plugin %v", position)
	}
	return place
}

// PlacesOf lists the place of each call; see PlaceOf.
func PlacesOf(calls []script.Call) []string {
	ginkgo.GinkgoHelper()
	places := []string{}
	for _, c := range calls {
		places = append(places, PlaceOf(c))
	}
	return places
}

// Reversed returns a list in reverse order.
func Reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// ParametersOfAdd asserts that each call has the parameters of the ADD
// of the same plugin for the same attachment: the configuration apart from
// prevResult, CNI_ARGS, CNI_PATH and the type.
func ParametersOfAdd(e *thick.Env, s *node.Sandbox, calls []script.Call) {
	ginkgo.GinkgoHelper()
	added := map[string]script.Call{}
	for _, c := range e.CallsFor("ADD", s) {
		place := PlaceOf(c)
		Expect(added).NotTo(HaveKey(place), "two ADDs of %s", place)
		added[place] = c
	}
	for _, c := range calls {
		place := PlaceOf(c)
		Expect(added).To(HaveKey(place), "%s of what no ADD was for", c.Command)
		add := added[place]
		Expect(configWithoutPrevResult(c)).To(Equal(configWithoutPrevResult(add)), "configuration of %s at %s", place, c.Command)
		Expect(strings.Split(c.Args, ";")).To(ConsistOf(strings.Split(add.Args, ";")), "CNI_ARGS of %s at %s", place, c.Command)
		Expect(c.Path).To(Equal(add.Path), "CNI_PATH of %s at %s", place, c.Command)
		Expect(c.Type).To(Equal(add.Type), "the plugin of the call")
	}
}

// Deleted asserts that DEL has reached every plugin of what the
// sandbox's ADD attached, once and in reverse order, with the parameters of
// ADD, and that nothing of the sandbox is left.
func Deleted(e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	deleted := e.CallsFor("DEL", s)
	Expect(PlacesOf(deleted)).To(Equal(Reversed(PlacesOf(e.CallsFor("ADD", s)))), "DEL in reverse order of ADD")
	ParametersOfAdd(e, s, deleted)
	Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
}

// FullResult is a result with something in every field, for an interface of
// that name and an address with its prefix length.
func FullResult(ifName, mac, address string) map[string]any {
	return map[string]any{
		"cniVersion": "1.0.0",
		"interfaces": []any{map[string]any{"name": ifName, "mac": mac, "sandbox": "/run/netns/of-the-result"}},
		"ips":        []any{map[string]any{"address": address, "gateway": "203.0.113.1", "interface": 0}},
		"routes":     []any{map[string]any{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}},
		"dns":        map[string]any{"nameservers": []any{"192.0.2.53"}, "domain": "example.org", "search": []any{"a.example.org"}},
	}
}

// PrevResultOf asserts that each call got the result of an ADD.
func PrevResultOf(want any, calls []script.Call) {
	ginkgo.GinkgoHelper()
	for _, c := range calls {
		got := c.Config()["prevResult"]
		Expect(got).NotTo(BeNil(), "prevResult of %s at %s", PlaceOf(c), c.Command)
		Expect(normalized(got)).To(MatchJSON(normalized(want)), "prevResult of %s at %s", PlaceOf(c), c.Command)
	}
}

// Restarted stops a daemon and starts another on the same directories, where
// the target can do that; the case goes on with the old one where not.
func Restarted(ctx context.Context, e *thick.Env, d *thick.Daemon) *thick.Daemon {
	ginkgo.GinkgoHelper()
	if !e.Supports(thick.FeatureRestart) {
		return d
	}
	d.Stop(ctx)
	return e.Start(ctx)
}
