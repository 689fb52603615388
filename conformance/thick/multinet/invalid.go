// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var invalidCases = []thick.Case{
	{
		ID: "NET-23", Level: spec.Must, Source: "NPWG §4.1.2.1.7, §4.1.2.1.8", Body: portsAndRates, Slow: 3 * time.Second,
		Title: "portMappings and bandwidth with a port, protocol, rate or burst that the standard excludes are malformed",
	},
	{
		ID: "NET-24", Level: spec.Should, Source: "NPWG §4.1.2.1.11", Body: ipsAndClaim,
		Title: "ips together with ipam-claim-reference is an error",
	},
	{
		ID: "NET-25", Level: spec.Must, Source: "NPWG §4.1.2.1", Body: malformedAttachesNothing, Slow: 2 * time.Second,
		Title: "Of a malformed annotation nothing is attached",
	},
	{
		ID: "NET-27", Level: spec.Should, Source: "NPWG §4.1.2.1.9", Body: secondDefaultRoute,
		Title: "default-route on more than one element is malformed",
	},
}

// allDeclared are the capabilities that a selection can ask for.
func allDeclared() map[string]bool {
	return map[string]bool{"ips": true, "mac": true, "infinibandGUID": true, "bandwidth": true, "portMappings": true}
}

// invalidNetworks makes the networks "alpha" and "beta", which take all that
// can be asked for, and starts the daemon.
func invalidNetworks(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	declares := func(addresses ...string) script.Fake {
		return script.Fake{Capabilities: allDeclared(), Add: script.FakeStep{Veth: true, Addresses: addresses}, Del: script.FakeStep{Veth: true}}
	}
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("alpha", e.FakeList("alpha", declares("10.2.0.9/24", "fd00:2::9/64")))
	e.Definition("beta", e.FakeList("beta", declares("10.3.0.9/24", "fd00:3::9/64")))
	e.Start(ctx)
}

// expectMalformed asserts that an annotation is refused or ignored as a
// whole. One that is ignored leaves the pod with its default network and, where
// there are events, with one that warns of it.
func expectMalformed(ctx context.Context, e *thick.Env, annotation string) {
	ginkgo.GinkgoHelper()
	ginkgo.By("networks: " + annotation)
	s := e.Sandbox(node.Networks(annotation))
	answer := e.Add(ctx, s)
	if !answer.OK() {
		// Whether delegates ran first, and were rolled back, is the target's choice.
		_ = expect.Refused(answer)
		Expect(s.InterfaceNames()).To(BeEmpty(), "interfaces after an ADD that failed")
		e.MustOK(e.Del(ctx, s))
		Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
		return
	}
	further := slices.DeleteFunc(expect.Trace(e.CallsFor("ADD", s)), func(place string) bool { return place == "default as eth0" })
	Expect(further).To(BeEmpty(), "further networks that ADD attached by the malformed annotation: %s", annotation)
	if e.Supports(thick.FeatureKubernetes) {
		expectEvent(ctx, e, s, corev1.EventTypeWarning, Not(BeEmpty()), Not(BeEmpty()))
	}
	e.MustOK(e.Del(ctx, s))
}

// malformedAttachesNothing is NET-25. In most of the annotations some elements
// could be read; the pod would run with a part of its networks.
func malformedAttachesNothing(ctx context.Context, e *thick.Env) {
	invalidNetworks(ctx, e)
	for _, annotation := range []string{
		"alpha@data0@data1",
		"beta,alpha@data0@data1",
		"beta,,alpha",
		"beta,Alpha",
		"beta,alpha@with space",
		"beta,one/two/alpha",
		`[{"name":"beta"},{"name":"alpha","interface":"with space"}]`,
		`[{"name":"beta"},{"namespace":"` + e.Namespace + `"}]`,
		`[{"name":"beta"},{"name":"alpha"}`,
		`[{"name":"beta"},"alpha"]`,
		`[{"name":"beta"},{"name":"alpha","ips":[]}]`,
		`[{"name":"beta"},{"name":"alpha","ips":["10.9.8.7/24","10.9.8.300/24"]}]`,
		// An Ethernet address has 6 bytes, a GUID has 8.
		`[{"name":"beta"},{"name":"alpha","mac":"02:11:22:33:44:55:66:77"}]`,
		`[{"name":"beta"},{"name":"alpha","infiniband-guid":"02:11:22:33:44:55"}]`,
	} {
		expectMalformed(ctx, e, annotation)
	}
}

// portsAndRates is NET-23.
func portsAndRates(ctx context.Context, e *thick.Env) {
	invalidNetworks(ctx, e)
	for _, request := range []string{
		`"portMappings":[]`,
		`"portMappings":[{"hostPort":0,"containerPort":80}]`,
		`"portMappings":[{"containerPort":80}]`,
		`"portMappings":[{"hostPort":8080}]`,
		`"portMappings":[{"hostPort":8080,"containerPort":0}]`,
		`"portMappings":[{"hostPort":65536,"containerPort":80}]`,
		`"portMappings":[{"hostPort":8080,"containerPort":65536}]`,
		`"portMappings":[{"hostPort":-1,"containerPort":80}]`,
		`"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"icmp"}]`,
		`"portMappings":[{"hostPort":8080,"containerPort":80},{"hostPort":8081,"containerPort":81,"protocol":"tcp6"}]`,
		`"bandwidth":{}`,
		`"bandwidth":{"ingressRate":0}`,
		`"bandwidth":{"ingressRate":1000,"egressRate":0}`,
		`"bandwidth":{"ingressRate":1000,"ingressBurst":0}`,
		`"bandwidth":{"ingressBurst":1600}`,
		`"bandwidth":{"ingressRate":1000,"egressBurst":1600}`,
		`"bandwidth":{"egressRate":-1}`,
	} {
		expectMalformed(ctx, e, `[{"name":"beta"},{"name":"alpha",`+request+`}]`)
	}
	portsAndRatesAtLimits(ctx, e)
}

// portsAndRatesAtLimits asks for what is just allowed.
func portsAndRatesAtLimits(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the limits")
	s := e.Sandbox(node.Networks(`[{"name":"alpha","portMappings":[{"hostPort":1,"containerPort":65535,"protocol":"Tcp"},
		{"hostPort":65535,"containerPort":1,"protocol":"UDP"},{"hostPort":8080,"containerPort":80,"protocol":"sctp"},{"hostPort":53,"containerPort":53}],
		"bandwidth":{"ingressRate":1,"egressRate":10000000000,"egressBurst":1}}]`))
	e.MustOK(e.Add(ctx, s))
	calls := e.CallsFor("ADD", s)
	Expect(expect.Trace(calls)).To(Equal([]string{"default as eth0", "alpha as net1"}), "delegates that were called, in order")
	given, _ := calls[1].Config()["runtimeConfig"].(map[string]any)
	Expect(given).To(HaveKeyWithValue("bandwidth", And(HaveKeyWithValue("ingressRate", 1.0), HaveKeyWithValue("egressRate", 1e10), HaveKeyWithValue("egressBurst", 1.0))), "the configuration that the delegate got")
	mapping := func(host, container float64, protocol string) gomegatypes.GomegaMatcher {
		return And(HaveKeyWithValue("hostPort", host), HaveKeyWithValue("containerPort", container), WithTransform(protocolOf, Equal(protocol)))
	}
	Expect(given).To(HaveKeyWithValue("portMappings",
		HaveExactElements(mapping(1, 65535, "tcp"), mapping(65535, 1, "udp"), mapping(8080, 80, "sctp"), mapping(53, 53, "tcp"))), "the configuration that the delegate got")
	e.MustOK(e.Del(ctx, s))
}

// protocolOf is the protocol of a port mapping in small letters. Without one it
// is TCP, whether the delegate is told so or not.
func protocolOf(mapping map[string]any) string {
	protocol, told := mapping["protocol"]
	if !told {
		return "tcp"
	}
	return strings.ToLower(fmt.Sprint(protocol))
}

// ipsAndClaim is NET-24. The claim alone is the delegate's affair.
func ipsAndClaim(ctx context.Context, e *thick.Env) {
	invalidNetworks(ctx, e)
	both := e.Sandbox(node.Networks(`[{"name":"beta"},{"name":"alpha","ips":["10.9.8.7/24"],"ipam-claim-reference":"vm-a.blue"}]`))
	_ = expect.Refused(e.Add(ctx, both))
	expect.NothingLeft(e, both)
	ginkgo.By("each alone")
	each := e.Sandbox(node.Networks(`[{"name":"beta","ipam-claim-reference":"vm-a.blue"},{"name":"alpha","ips":["10.9.8.7/24"]}]`))
	e.MustOK(e.Add(ctx, each))
	Expect(expect.Trace(e.CallsFor("ADD", each))).To(Equal([]string{"default as eth0", "beta as net1", "alpha as net2"}), "delegates that were called at ADD, in order")
	e.MustOK(e.Del(ctx, each))
}

// secondDefaultRoute is NET-27. The standard does not tell address families
// apart: one attachment has the key.
func secondDefaultRoute(ctx context.Context, e *thick.Env) {
	invalidNetworks(ctx, e)
	for _, annotation := range []string{
		`[{"name":"alpha","default-route":["10.2.0.1"]},{"name":"beta","default-route":["10.3.0.1"]}]`,
		`[{"name":"alpha","default-route":["fd00:2::1"]},{"name":"alpha"},{"name":"beta","default-route":["fd00:3::1"]}]`,
		`[{"name":"alpha","default-route":["10.2.0.1"]},{"name":"beta","default-route":["fd00:3::1"]}]`,
		`[{"name":"alpha","default-route":[]},{"name":"beta","default-route":["10.3.0.1"]}]`,
	} {
		expectMalformed(ctx, e, annotation)
	}
}
