// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func init() {
	register(Case{
		ID: "NET-16", Profile: "multinet", Level: Should, Source: "OPS", Needs: []Feature{FeatureKubernetes}, Body: tokenRotates, Slow: 15 * time.Second,
		Title: "A token that is renewed in the kubeconfig is used when the former one ends, without a restart",
	})
}

// tokenRotates is NET-16.
func tokenRotates(ctx context.Context, e *Env) {
	w := e.api()
	e.Definition("alpha", e.FakeList("alpha"))
	const keeper = "keeper"
	former := w.boundToken(keeper)
	replaceFile(e.kubeconfig(), w.kubeconfig(former))
	e.Start(ctx)
	s := e.Sandbox(Networks("alpha"))
	e.MustOK(e.Add(ctx, s))

	ginkgo.By("the kubeconfig gets another token, and the former one ends")
	replaceFile(e.kubeconfig(), w.kubeconfig(w.boundToken("other")))
	Expect(w.client.CoreV1().Secrets(w.namespace).Delete(ctx, keeper, metav1.DeleteOptions{})).To(Succeed())
	anonymous, err := kubernetes.NewForConfig(&rest.Config{Host: "http://apiserver", BearerToken: former, Dial: dialing(w.access.Client)})
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() error {
		_, err := anonymous.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{})
		return err
	}).WithContext(ctx).WithTimeout(40*time.Second).WithPolling(200*time.Millisecond).Should(MatchError(ContainSubstring("nauthorized")), "the end of the former token")

	e.Definition("beta", e.FakeList("beta"))
	later := e.Sandbox(Networks("beta"))
	e.MustOK(e.Add(ctx, later))
	Expect(e.Status(later)).To(HaveLen(2))
}

// boundToken is a token of the daemon's account that ends when a secret goes.
func (w *apiWorld) boundToken(secret string) string {
	ginkgo.GinkgoHelper()
	lifetime := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime,
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: secret}}}
	Expect(call(func(ctx context.Context) error {
		_, err := w.client.CoreV1().Secrets(w.namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}}, metav1.CreateOptions{})
		if err == nil {
			request, err = w.client.CoreV1().ServiceAccounts(w.namespace).CreateToken(ctx, w.account, request, metav1.CreateOptions{})
		}
		return err
	})).To(Succeed(), "a token of the daemon's")
	return request.Status.Token
}
