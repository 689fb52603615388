// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func init() {
	register(
		Case{
			ID: "DEL-01", Profile: "del", Level: Must, Source: "CNI", Body: delReversed,
			Title: "Attachments are removed in reverse order, each with the interface name of its ADD",
		},
		Case{
			ID: "DEL-02", Profile: "del", Level: Must, Source: "CNI", Body: delAgain, Live: liveUnknownDel,
			Title: "A second DEL, and a DEL of a container never seen, succeed",
		},
		Case{
			ID: "DEL-03", Profile: "del", Level: Must, Source: "CNI, #323", Body: delWithoutNamespace, Slow: 8 * time.Second,
			Title: "DEL without namespace, or after it is gone, releases what lives outside it",
		},
		Case{
			ID: "DEL-04", Profile: "del", Level: Must, Source: "#1449, #920", Body: delConfigurationOfAdd,
			Title: "Each delegate gets exactly the configuration of its ADD, whatever has since become of it",
		},
		Case{
			ID: "DEL-05", Profile: "del", Level: Must, Source: "CNI", Body: delPrevResult,
			Title: "Each delegate gets prevResult",
		},
		Case{
			ID: "DEL-06", Profile: "del", Level: Must, Source: "#152", Body: delDelegateFails,
			Title: "A failing delegate does not stop the others; the error is reported, a later DEL tries again",
		},
		Case{
			ID: "DEL-07", Profile: "del", Level: Must, Source: "#1087", Body: delDamagedRecord, Slow: 6 * time.Second,
			Title: "A damaged record is reported, kept aside, harms no other container; DEL uses the configuration",
		},
		Case{
			ID: "DEL-08", Profile: "del", Level: Must, Source: "#1200", Body: delDuringAdd,
			Title: "A DEL during that container's ADD ends with nothing attached",
		},
		Case{
			ID: "DEL-09", Profile: "del", Level: Must, Source: "#920", Body: delWithoutCluster,
			Title: "No call to the Kubernetes API is needed for DEL",
		},
	)
}

// positionKey is the key of a plugin's configuration that says which plugin of
// its list it is.
const positionKey = "x-position"

// realInterface is a fake that makes an interface at ADD and removes it at DEL.
func realInterface() Fake {
	return Fake{Add: FakeStep{Veth: true}, Del: FakeStep{Veth: true}}
}

// numbered gives each plugin of a list its position, see placesOf.
func numbered(steps ...Fake) []Fake {
	for i := range steps {
		extra := map[string]any{positionKey: i}
		for k, v := range steps[i].Extra {
			extra[k] = v
		}
		steps[i].Extra = extra
	}
	return steps
}

// placeOf names the plugin of the attachment that a call was for, such as
// "default eth0" or, in a list made by numbered, "blue net1 plugin 2".
func placeOf(c Call) string {
	ginkgo.GinkgoHelper()
	place := c.Network + " " + c.Interface
	if position, ok := c.Config()[positionKey]; ok {
		place += fmt.Sprintf(" plugin %v", position)
	}
	return place
}

func placesOf(calls []Call) []string {
	ginkgo.GinkgoHelper()
	places := []string{}
	for _, c := range calls {
		places = append(places, placeOf(c))
	}
	return places
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// expectParametersOfAdd asserts that each call has the parameters of the ADD
// of the same plugin for the same attachment: the configuration apart from
// prevResult, CNI_ARGS, CNI_PATH and the type.
func expectParametersOfAdd(e *Env, s *Sandbox, calls []Call) {
	ginkgo.GinkgoHelper()
	added := map[string]Call{}
	for _, c := range e.CallsFor("ADD", s) {
		place := placeOf(c)
		Expect(added).NotTo(HaveKey(place), "two ADDs of %s", place)
		added[place] = c
	}
	for _, c := range calls {
		place := placeOf(c)
		Expect(added).To(HaveKey(place), "%s of what no ADD was for", c.Command)
		add := added[place]
		Expect(configWithoutPrevResult(c)).To(Equal(configWithoutPrevResult(add)), "configuration of %s at %s", place, c.Command)
		Expect(strings.Split(c.Args, ";")).To(ConsistOf(strings.Split(add.Args, ";")), "CNI_ARGS of %s at %s", place, c.Command)
		Expect(c.Path).To(Equal(add.Path), "CNI_PATH of %s at %s", place, c.Command)
		Expect(c.Type).To(Equal(add.Type))
	}
}

func configWithoutPrevResult(c Call) map[string]any {
	ginkgo.GinkgoHelper()
	config := c.Config()
	delete(config, "prevResult")
	return config
}

// expectDeleted asserts that DEL has reached every plugin of what the
// sandbox's ADD attached, once and in reverse order, with the parameters of
// ADD, and that nothing of the sandbox is left.
func expectDeleted(e *Env, s *Sandbox) {
	ginkgo.GinkgoHelper()
	deleted := e.CallsFor("DEL", s)
	Expect(placesOf(deleted)).To(Equal(reversed(placesOf(e.CallsFor("ADD", s)))), "DEL in reverse order of ADD")
	expectParametersOfAdd(e, s, deleted)
	Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
}

// fullResult is a result with something in every field, for an interface of
// that name and an address with its prefix length.
func fullResult(ifName, mac, address string) map[string]any {
	return map[string]any{
		"cniVersion": "1.0.0",
		"interfaces": []any{map[string]any{"name": ifName, "mac": mac, "sandbox": "/run/netns/of-the-result"}},
		"ips":        []any{map[string]any{"address": address, "gateway": "203.0.113.1", "interface": 0}},
		"routes":     []any{map[string]any{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}},
		"dns":        map[string]any{"nameservers": []any{"192.0.2.53"}, "domain": "example.org", "search": []any{"a.example.org"}},
	}
}

// normalized is a result in one form, whoever encoded it.
func normalized(result any) string {
	ginkgo.GinkgoHelper()
	var r types100.Result
	Expect(json.Unmarshal(mustJSON(result), &r)).To(Succeed(), "result %s", mustJSON(result))
	r.CNIVersion = ""
	return string(mustJSON(&r))
}

// expectPrevResultOf asserts that each call got the result of an ADD.
func expectPrevResultOf(want any, calls []Call) {
	ginkgo.GinkgoHelper()
	for _, c := range calls {
		got := c.Config()["prevResult"]
		Expect(got).NotTo(BeNil(), "prevResult of %s at %s", placeOf(c), c.Command)
		Expect(normalized(got)).To(MatchJSON(normalized(want)), "prevResult of %s at %s", placeOf(c), c.Command)
	}
}

// restarted stops a daemon and starts another on the same directories, where
// the target can do that; the case goes on with the old one where not.
func restarted(ctx context.Context, e *Env, d *Daemon) *Daemon {
	ginkgo.GinkgoHelper()
	if !e.Supports(FeatureRestart) {
		return d
	}
	d.Stop(ctx)
	return e.Start(ctx)
}
