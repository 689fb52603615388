// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// endpointResult is EP-03, for configurations of old versions of the shim's
// and of the network's too: the wire is always CNI 1.x.
func endpointResult(ctx context.Context, e *thick.Env) {
	e.Start(ctx)
	for _, row := range []struct{ shim, list string }{
		{"1.1.0", "1.0.0"}, {"1.0.0", "1.1.0"}, {"0.4.0", "0.4.0"}, {"0.3.1", "1.0.0"}, {"1.1.0", "0.3.1"}, {"0.1.0", "0.2.0"},
	} {
		ginkgo.By(fmt.Sprintf("cniVersion %s of the shim's configuration, %s of the network's", row.shim, row.list))
		e.CNIVersion = row.shim
		e.DefaultNetwork(expect.Versioned(e.FakeList("default", script.Fake{Add: script.FakeStep{Addresses: []string{"192.0.2.7/24"}}}), row.list))
		s := e.Sandbox()
		expectResultOnWire(e.Add(ctx, s), "192.0.2.7/24")
		e.MustOK(e.Del(ctx, s))
	}
	if e.Supports(thick.FeatureHotplug) {
		ginkgo.By("/delegate")
		s := e.Sandbox()
		e.MustOK(e.Add(ctx, s))
		config := e.FakeList("hot", script.Fake{Add: script.FakeStep{Addresses: []string{"198.51.100.7/24"}}})
		expectResultOnWire(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", config)), "198.51.100.7/24")
	}
}

func expectResultOnWire(a *thick.Answer, address string) {
	ginkgo.GinkgoHelper()
	Expect(a.Status).To(Equal(http.StatusOK), "ADD was answered with %s", a)
	expectJSONType(a)
	var fields map[string]json.RawMessage
	Expect(json.Unmarshal(a.Body, &fields)).To(Succeed(), "the body of %s", a)
	Expect(fields).To(HaveLen(1), "the fields of %s", a)
	Expect(fields).To(HaveKey("Result"), "the answer to ADD")
	var version struct {
		CNIVersion string `json:"cniVersion"`
	}
	Expect(json.Unmarshal(fields["Result"], &version)).To(Succeed())
	Expect(version.CNIVersion).To(MatchRegexp(`^1\.[0-9]+\.[0-9]+$`), "the result's cniVersion")
	var result types100.Result
	Expect(json.Unmarshal(fields["Result"], &result)).To(Succeed())
	Expect(result.IPs).To(HaveLen(1), "addresses in the result")
	Expect(result.IPs[0].Address.String()).To(Equal(address), "the address in the result")
}

func expectJSONType(a *thick.Answer) {
	ginkgo.GinkgoHelper()
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	Expect(err).NotTo(HaveOccurred(), "Content-Type %q of the answer %s", a.Header.Get("Content-Type"), a)
	Expect(kind).To(Equal("application/json"), "Content-Type of the answer %s", a)
}

// endpointEmptySuccess is EP-04. The delegate prints something where it has
// nothing to say, which does not belong to the answer.
func endpointEmptySuccess(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	chatty := script.FakeStep{Stdout: `{"cniVersion":"1.0.0","ips":[]}`}
	e.DefaultNetwork(expect.Versioned(e.FakeList("default", script.Fake{Del: chatty, Check: chatty, GC: chatty, Status: chatty}), "1.1.0"))
	e.Start(ctx)
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	expect.EmptySuccess(e.Check(ctx, s), "CHECK")
	if e.Supports(thick.FeatureHotplug) {
		hot := e.FakeList("hot", script.Fake{Del: chatty, Check: chatty})
		e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", hot)))
		for _, command := range []string{"CHECK", "DEL"} {
			expect.EmptySuccess(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, command, hot)), command+" on /delegate")
		}
	}
	if e.Supports(thick.FeatureStatus) {
		expect.EmptySuccess(e.Post(ctx, api.MultusCNIAPIEndpoint, expect.NodeRequest(e, s, "STATUS")), "STATUS")
	}
	if e.Supports(thick.FeatureGC) {
		expect.EmptySuccess(e.Post(ctx, api.MultusCNIAPIEndpoint, expect.NodeRequest(e, s, "GC")), "GC")
	}
	expect.EmptySuccess(e.Del(ctx, s), "DEL")
	expect.EmptySuccess(e.Del(ctx, s), "a second DEL")
	expect.EmptySuccess(e.Del(ctx, e.Sandbox()), "DEL of a container never seen")
}

// endpointFailures is EP-05.
func endpointFailures(ctx context.Context, e *thick.Env) {
	refusal := types.NewError(117, "no address is free", "192.0.2.0/29")
	e.Definition("refusing", e.FakeList("refusing", script.Fake{Add: script.FakeStep{Error: refusal}}))
	e.Definition("crashing", e.FakeList("crashing", script.Fake{Add: script.FakeStep{Signal: "SIGSEGV"}}))
	e.Definition("unreadable", "{ not JSON")
	e.Start(ctx)
	for what, s := range map[string]*node.Sandbox{
		"a delegate that refuses":     e.Sandbox(node.Networks("refusing")),
		"a delegate that crashes":     e.Sandbox(node.Networks("crashing")),
		"an unreadable configuration": e.Sandbox(node.Networks("unreadable")),
		"a network that is not there": e.Sandbox(node.Networks("missing")),
		"a malformed selection":       e.Sandbox(node.Networks("[{")),
		"a pod that is not there":     e.Sandbox(node.WithoutPod()),
		"a namespace that is gone":    e.Sandbox(node.WithoutNetns()),
	} {
		a := e.Add(ctx, s)
		if a.OK() && what == "a pod that is not there" {
			continue // a made-up success is ADD-12's
		}
		expectErrorOnWire(a, "ADD with "+what)
	}
	for _, endpoint := range expect.OperationEndpoints {
		for what, body := range map[string]string{
			"no JSON": "garbage", "nothing": "", "no variables": "{}", "an unknown command": `{"env":{"CNI_COMMAND":"BREW"}}`,
			"no container": `{"env":{"CNI_COMMAND":"DEL","CNI_IFNAME":"eth0"}}`,
		} {
			expectErrorOnWire(expect.PostRaw(ctx, e, endpoint, []byte(body)), what+" on "+endpoint)
		}
	}
	if e.Supports(thick.FeatureHotplug) {
		endpointHotplugFailures(ctx, e, refusal)
	}
}

// endpointHotplugFailures is EP-05 for what can fail on /delegate only.
func endpointHotplugFailures(ctx context.Context, e *thick.Env, refusal *types.Error) {
	ginkgo.GinkgoHelper()
	added := e.Sandbox()
	e.MustOK(e.Add(ctx, added))
	hot := func(s *node.Sandbox, config string) *thick.Answer {
		return e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", config))
	}
	expectErrorOnWire(hot(added, e.FakeList("hot", script.Fake{Add: script.FakeStep{Error: refusal}})), "hot-plug of a delegate that refuses")
	expectErrorOnWire(hot(added, "{}"), "hot-plug of nothing")
	expectErrorOnWire(hot(added, ""), "hot-plug without configuration")
	expectErrorOnWire(hot(e.Sandbox(), e.FakeList("hot")), "hot-plug into a sandbox that was never added")
}

// expectErrorOnWire asserts on the fields as JSON has them, not as Go's types
// would forgive.
func expectErrorOnWire(a *thick.Answer, what string) {
	ginkgo.GinkgoHelper()
	Expect(a.Status).To(BeNumerically(">=", 400), "%s was answered with %s", what, a)
	expectJSONType(a)
	var fields map[string]any
	Expect(json.Unmarshal(a.Body, &fields)).To(Succeed(), "%s: the body %q", what, a.Body)
	code, isNumber := fields["code"].(float64)
	Expect(isNumber && code > 0 && code == float64(uint32(code))).To(BeTrue(), "%s: the code in %s", what, a)
	Expect(fields["msg"]).To(And(BeAssignableToTypeOf(""), Not(BeEmpty())), "%s: the msg in %s", what, a)
	if details, given := fields["details"]; given {
		Expect(details).To(BeAssignableToTypeOf(""), "%s: the details in %s", what, a)
	}
}
