// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"time"

	"github.com/containernetworking/cni/pkg/types"
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

var eventsCases = []thick.Case{
	{
		ID: "NET-12", Level: spec.Must, Source: "Multus", Needs: []spec.Feature{thick.FeatureKubernetes}, Body: eventsOfPods,
		Title: "Events AddedInterface and, on failure, a warning that names the network",
	},
}

// eventTimeout is how long an event may take: it must not hold an ADD up.
const eventTimeout = 10 * time.Second

// eventsOfPods is NET-12.
func eventsOfPods(ctx context.Context, e *thick.Env) {
	// Names that no message has by chance.
	good, bad, absent := "good-"+node.RandomHex(3), "bad-"+node.RandomHex(3), "absent-"+node.RandomHex(3)
	e.Definition(good, e.FakeList("one-"+good, script.Fake{Add: script.FakeStep{Veth: true, Addresses: []string{"192.0.2.77/24"}}, Del: script.FakeStep{Veth: true}}))
	e.Definition(bad, e.FakeList("two-"+bad, script.Fake{Add: script.FakeStep{Error: types.NewError(131, "the switch refuses", "")}}))
	e.Start(ctx)

	ginkgo.By("an ADD that succeeds")
	s := e.Sandbox(node.Networks(good + "@data0"))
	e.MustOK(e.Add(ctx, s))
	expectEvent(ctx, e, s, corev1.EventTypeNormal, Equal("AddedInterface"), And(ContainSubstring("eth0"), ContainSubstring("default")))
	expectEvent(ctx, e, s, corev1.EventTypeNormal, Equal("AddedInterface"),
		And(ContainSubstring("data0"), ContainSubstring(e.Namespace+"/"+good), ContainSubstring("192.0.2.77")))
	for _, event := range e.Events(s) {
		Expect(event.Type).To(Equal(corev1.EventTypeNormal), "an event of an ADD that succeeded: %s", event.Message)
	}

	ginkgo.By("a delegate that fails")
	failed := e.Sandbox(node.Networks(good + "," + bad))
	_ = expect.Refused(e.Add(ctx, failed))
	expectEvent(ctx, e, failed, corev1.EventTypeWarning, Not(BeEmpty()), ContainSubstring(bad))

	ginkgo.By("a definition that does not exist")
	unknown := e.Sandbox(node.Networks(absent))
	_ = expect.Refused(e.Add(ctx, unknown))
	expectEvent(ctx, e, unknown, corev1.EventTypeWarning, Not(BeEmpty()), ContainSubstring(absent))
	for _, event := range e.Events(unknown) {
		Expect(event.Reason).NotTo(Equal("AddedInterface"), "nothing was added: %s", event.Message)
	}

	ginkgo.By("the default network fails")
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{Error: types.NewError(132, "no carrier", "")}}))
	first := e.Sandbox(node.Networks(good))
	_ = expect.Refused(e.Add(ctx, first))
	expectEvent(ctx, e, first, corev1.EventTypeWarning, Not(BeEmpty()), ContainSubstring("default"))
}

// expectEvent waits for an event of the sandbox's pod.
func expectEvent(ctx context.Context, e *thick.Env, s *node.Sandbox, eventType string, reason, message gomegatypes.GomegaMatcher) {
	ginkgo.GinkgoHelper()
	Eventually(func() []corev1.Event { return e.Events(s) }).WithContext(ctx).WithTimeout(eventTimeout).WithPolling(50*time.Millisecond).
		Should(ContainElement(And(
			HaveField("Type", eventType), HaveField("Reason", reason), HaveField("Message", message),
			HaveField("InvolvedObject", And(HaveField("Kind", "Pod"), HaveField("Name", s.PodName), HaveField("Namespace", s.PodNamespace),
				HaveField("UID", BeEquivalentTo(s.PodUID)))),
		)), "events of the pod")
}
