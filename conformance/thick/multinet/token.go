// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var tokenCases = []thick.Case{
	{
		ID: "NET-16", Level: spec.Should, Source: "OPS", Needs: []spec.Feature{thick.FeatureKubernetes}, Body: tokenRotates, Slow: 15 * time.Second,
		Title: "A token that is renewed in the kubeconfig is used when the former one ends, without a restart",
	},
}

// tokenRotates is NET-16.
func tokenRotates(ctx context.Context, e *thick.Env) {
	w := e.Api()
	e.Definition("alpha", e.FakeList("alpha"))
	const keeper = "keeper"
	former := w.BoundToken(keeper)
	node.ReplaceFile(e.Kubeconfig(), w.Kubeconfig(former))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("alpha"))
	e.MustOK(e.Add(ctx, s))

	ginkgo.By("the kubeconfig gets another token, and the former one ends")
	node.ReplaceFile(e.Kubeconfig(), w.Kubeconfig(w.BoundToken("other")))
	Expect(w.Client.CoreV1().Secrets(w.Namespace).Delete(ctx, keeper, metav1.DeleteOptions{})).To(Succeed())
	anonymous, err := kubernetes.NewForConfig(&rest.Config{Host: "http://apiserver", BearerToken: former, Dial: kube.Dialing(w.Access.Client)})
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() error {
		_, err := anonymous.CoreV1().Pods(w.Namespace).List(ctx, metav1.ListOptions{})
		return err
	}).WithContext(ctx).WithTimeout(40*time.Second).WithPolling(200*time.Millisecond).Should(MatchError(ContainSubstring("nauthorized")), "the end of the former token")

	e.Definition("beta", e.FakeList("beta"))
	later := e.Sandbox(node.Networks("beta"))
	e.MustOK(e.Add(ctx, later))
	expect.Published(e, later, 2)
}
