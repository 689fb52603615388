// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

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
func endpointDelegateError(ctx context.Context, e *Env) {
	e.Start(ctx)
	for i, want := range delegateErrors {
		ginkgo.By(want.Error())
		fail := FakeStep{Error: want}
		once := FakeStep{Error: want, Times: 1}
		name := func(command string) string { return fmt.Sprintf("%s-%d", command, i) }
		for command, f := range map[string]Fake{"add": {Add: fail}, "check": {Check: fail}, "del": {Del: once}} {
			e.Definition(name(command), e.FakeList(name(command), f))
		}
		expectSameError(e.Add(ctx, e.Sandbox(Networks(name("add")))), want)

		s := e.Sandbox(Networks(name("check")))
		e.MustOK(e.Add(ctx, s))
		expectSameError(e.Check(ctx, s), want)

		s = e.Sandbox(Networks(name("del")))
		e.MustOK(e.Add(ctx, s))
		expectSameError(e.Del(ctx, s), want)
		e.MustOK(e.Del(ctx, s))
		if e.Supports(FeatureHotplug) {
			endpointHotplugError(ctx, e, want)
		}
	}
}

// endpointHotplugError is EP-10 on /delegate.
func endpointHotplugError(ctx context.Context, e *Env, want *types.Error) {
	ginkgo.GinkgoHelper()
	post := func(s *Sandbox, command string, f Fake) *Answer {
		return e.Post(ctx, api.MultusDelegateAPIEndpoint, hotplugRequest(e, s, command, e.FakeList("hot", f)))
	}
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	expectSameError(post(s, "ADD", Fake{Add: FakeStep{Error: want}}), want)
	failing := Fake{Check: FakeStep{Error: want}, Del: FakeStep{Error: want, Times: 1}}
	// The DEL of the ADD that failed has counted for Times; another sandbox has not.
	s = e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	e.MustOK(post(s, "ADD", failing))
	expectSameError(post(s, "CHECK", failing), want)
	expectSameError(post(s, "DEL", failing), want)
}

func expectSameError(a *Answer, want *types.Error) {
	ginkgo.GinkgoHelper()
	got := expectCNIError(a)
	Expect([]any{got.Code, got.Msg, got.Details}).To(Equal([]any{want.Code, want.Msg, want.Details}), "the delegate's error, in the answer %s", a)
}

// endpointStatusClasses is EP-14.
func endpointStatusClasses(ctx context.Context, e *Env) {
	gate := filepath.Join(e.Dir, "gate")
	e.Definition("held", e.FakeList("held", Fake{Del: FakeStep{WaitFor: gate}}))
	d := e.Start(ctx, DelegateTimeout(10*time.Second))
	held := e.Sandbox(Networks("held"))
	e.MustOK(e.Add(ctx, held))
	defer e.Touch(gate) // for the DEL after a failure
	for _, endpoint := range operationEndpoints {
		endpointClientErrors(ctx, e, endpoint)
	}
	endpointServerErrors(ctx, e)
	if !e.Supports(FeatureReadyz) {
		ginkgo.By("the target has no /readyz that would tell when SIGTERM has arrived: that part is left out")
		return
	}
	ginkgo.By("a daemon that shuts down")
	outcome := e.Async(ctx, e.Request("DEL", held))
	e.AwaitCalls(ctx, 1, callOf(held, "DEL", "held"))
	d.Terminate()
	awaitUnready(ctx, e, d)
	a := e.Add(ctx, e.Sandbox())
	Expect(a.Status).To(Equal(http.StatusServiceUnavailable), "ADD of a daemon that shuts down was answered with %s", a)
	Expect(expectCNIError(a).Code).To(Equal(uint(11)), "the code of an ADD that the next daemon can serve: %s", a)
	e.Touch(gate)
	e.MustOK(expectAnswered(ctx, outcome))
	d.await(ctx)
}

// endpointClientErrors posts what is the client's fault.
func endpointClientErrors(ctx context.Context, e *Env, endpoint string) {
	ginkgo.GinkgoHelper()
	for what, body := range map[string]string{
		"no JSON":            "garbage",
		"no variables":       "{}",
		"an unknown command": `{"env":{"CNI_COMMAND":"BREW"}}`,
		"a bad container id": `{"env":{"CNI_COMMAND":"DEL","CNI_CONTAINERID":"../x","CNI_IFNAME":"eth0"}}`,
		"a bad interface":    `{"env":{"CNI_COMMAND":"DEL","CNI_CONTAINERID":"x","CNI_IFNAME":"a/b"}}`,
	} {
		a := postRaw(ctx, e, endpoint, []byte(body))
		Expect(a.Status).To(And(BeNumerically(">=", 400), BeNumerically("<", 500)), "%s on %s was answered with %s", what, endpoint, a)
	}
}

// endpointServerErrors has delegates fail, also with codes that look like a
// client's mistake.
func endpointServerErrors(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	steps := map[string]FakeStep{
		"crash":   {Signal: "SIGKILL", Times: 1},
		"garbage": {Stdout: "not JSON", Exit: 1, Times: 1},
	}
	for i, err := range delegateErrors {
		steps[fmt.Sprintf("error-%d", i)] = FakeStep{Error: err}
	}
	for name, step := range steps {
		e.Definition(name, e.FakeList(name, Fake{Add: step}))
		a := e.Add(ctx, e.Sandbox(Networks(name)))
		Expect(a.Status).To(And(BeNumerically(">=", 500), BeNumerically("<", 600)), "a delegate's failure (%s) was answered with %s", name, a)
	}
}
