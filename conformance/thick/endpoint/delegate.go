// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// delegateErrors are such as delegates return: codes of their own and of the
// CNI spec, texts with everything that an encoding can spoil, no details.
var delegateErrors = []*types.Error{
	types.NewError(117, `pool "blue" is empty`, "192.0.2.0/29: 6 of 6 in use\n\t<a&b> Zürich \U0001F332 \\"),
	types.NewError(types.ErrTryAgainLater, "busy", ""),
	types.NewError(types.ErrInvalidEnvironmentVariables, "no such address", "CNI_ARGS"),
	types.NewError(types.ErrInternal, "internal", "what went wrong inside"),
	types.NewError(65535, "100% of %s", "%d"),
}

// endpointDelegateError is EP-10, for each command that a delegate can fail.
func endpointDelegateError(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.Start(ctx)
	for i, want := range delegateErrors {
		ginkgo.By(want.Error())
		fail := script.FakeStep{Error: want}
		name := func(command string) string { return fmt.Sprintf("%s-%d", command, i) }
		failOnce := script.FakeStep{Error: want, Times: 1}
		for command, f := range map[string]script.Fake{"add": {Add: fail}, "check": {Check: fail}, "del": {Del: failOnce}} {
			e.Definition(name(command), e.FakeList(name(command), f))
		}
		expect.SameError(e.Add(ctx, e.Sandbox(node.Networks(name("add")))), want)

		s := e.Sandbox(node.Networks(name("check")))
		e.MustOK(e.Add(ctx, s))
		expect.SameError(e.Check(ctx, s), want)

		s = e.Sandbox(node.Networks(name("del")))
		e.MustOK(e.Add(ctx, s))
		expect.SameError(e.Del(ctx, s), want)
		e.MustOK(e.Del(ctx, s))
		if e.Supports(thick.FeatureHotplug) {
			endpointHotplugError(ctx, e, want)
		}
	}
}

// endpointHotplugError is EP-10 on /delegate.
func endpointHotplugError(ctx context.Context, e *thick.Env, want *types.Error) {
	ginkgo.GinkgoHelper()
	post := func(s *node.Sandbox, command string, f script.Fake) *thick.Answer {
		return e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, command, e.FakeList("hot", f)))
	}
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	expect.SameError(post(s, "ADD", script.Fake{Add: script.FakeStep{Error: want}}), want)
	failing := script.Fake{Check: script.FakeStep{Error: want}, Del: script.FakeStep{Error: want, Times: 1}}
	// The DEL of the ADD that failed has counted for Times; another sandbox has not.
	s = e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	e.MustOK(post(s, "ADD", failing))
	expect.SameError(post(s, "CHECK", failing), want)
	expect.SameError(post(s, "DEL", failing), want)
}

// endpointStatusClasses is EP-14.
func endpointStatusClasses(ctx context.Context, e *thick.Env) {
	gate := filepath.Join(e.Dir, "gate")
	e.Definition("held", e.FakeList("held", script.Fake{Del: script.FakeStep{WaitFor: gate}}))
	d := e.Start(ctx, thick.DelegateTimeout(10*time.Second))
	held := e.Sandbox(node.Networks("held"))
	e.MustOK(e.Add(ctx, held))
	defer e.Touch(gate) // for the DEL after a failure
	for _, endpoint := range expect.OperationEndpoints {
		endpointClientErrors(ctx, e, endpoint)
	}
	if e.Supports(thick.FeatureHotplug) {
		endpointConfigErrors(ctx, e)
	}
	endpointServerErrors(ctx, e)
	if !e.Supports(thick.FeatureReadyz) {
		ginkgo.By("the target has no /readyz that would tell when SIGTERM has arrived: that part is left out")
		return
	}
	ginkgo.By("a daemon that shuts down")
	outcome := e.Async(ctx, e.Request("DEL", held))
	e.AwaitCalls(ctx, 1, expect.CallOf(held, "DEL", "held"))
	d.Terminate()
	expect.AwaitUnready(ctx, e, d)
	a := e.Add(ctx, e.Sandbox())
	Expect(a.Status).To(Equal(http.StatusServiceUnavailable), "ADD of a daemon that shuts down was answered with %s", a)
	Expect(expect.CNIError(a).Code).To(Equal(uint(11)), "the code of an ADD that the next daemon can serve: %s", a)
	e.Touch(gate)
	e.MustOK(expect.Answered(ctx, outcome))
	d.Await(ctx)
}

// endpointClientErrors posts what is the client's fault.
func endpointClientErrors(ctx context.Context, e *thick.Env, endpoint string) {
	ginkgo.GinkgoHelper()
	for what, body := range map[string]string{
		"no JSON":            "garbage",
		"no variables":       "{}",
		"an unknown command": `{"env":{"CNI_COMMAND":"BREW"}}`,
		"a bad container id": `{"env":{"CNI_COMMAND":"DEL","CNI_CONTAINERID":"../x","CNI_IFNAME":"eth0"}}`,
		"a bad interface":    `{"env":{"CNI_COMMAND":"DEL","CNI_CONTAINERID":"x","CNI_IFNAME":"a/b"}}`,
	} {
		a := expect.PostRaw(ctx, e, endpoint, []byte(body))
		Expect(a.Status).To(And(BeNumerically(">=", 400), BeNumerically("<", 500)), "%s on %s was answered with %s", what, endpoint, a)
	}
}

// endpointConfigErrors plugs what cannot be a network, or be asked of one.
func endpointConfigErrors(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	able := e.FakeList("hot", script.Fake{Capabilities: map[string]bool{"mac": true, "ips": true}})
	for what, hot := range map[string]struct {
		config string
		asked  *api.DelegateInterfaceAttributes
	}{
		"a bad mac":                       {able, &api.DelegateInterfaceAttributes{MacRequest: "not-a-mac"}},
		"a bad address":                   {able, &api.DelegateInterfaceAttributes{IPRequest: []string{"300.1.1.1/24"}}},
		"a configuration without a type":  {`{"cniVersion":"1.0.0","name":"hot"}`, nil},
		"a plugin without a type":         {`{"cniVersion":"1.0.0","name":"hot","plugins":[{"mtu":1500}]}`, nil},
		"an empty configuration":          {"", nil},
		"a configuration that is no JSON": {"{", nil},
	} {
		r := expect.HotplugRequest(e, s, "ADD", hot.config)
		r.InterfaceAttributes = hot.asked
		a := e.Post(ctx, api.MultusDelegateAPIEndpoint, r)
		Expect(a.Status).To(And(BeNumerically(">=", 400), BeNumerically("<", 500)), "%s on /delegate was answered with %s", what, a)
		expectErrorOnWire(a, what)
	}
	Expect(node.NetworksOf(e.CallsFor("ADD", s))).To(Equal([]string{"default"}), "networks of the sandbox whose delegates ran")
	e.MustOK(e.Del(ctx, s))
}

// endpointServerErrors has delegates fail, also with codes that look like a
// client's mistake.
func endpointServerErrors(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	steps := map[string]script.FakeStep{
		"crash":   {Signal: "SIGKILL", Times: 1},
		"garbage": {Stdout: "not JSON", Exit: 1, Times: 1},
	}
	for i, err := range delegateErrors {
		steps[fmt.Sprintf("error-%d", i)] = script.FakeStep{Error: err}
	}
	for name, step := range steps {
		e.Definition(name, e.FakeList(name, script.Fake{Add: step}))
		a := e.Add(ctx, e.Sandbox(node.Networks(name)))
		Expect(a.Status).To(And(BeNumerically(">=", 500), BeNumerically("<", 600)), "a delegate's failure (%s) was answered with %s", name, a)
	}
}
