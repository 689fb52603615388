// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// User is the name that the API server knows the case's daemon by.
func (w *World) User() string { return "system:serviceaccount:" + w.Namespace + ":" + w.account }

// token binds the daemon's account to its role and returns a token of it.
func (w *World) token() string {
	ginkgo.GinkgoHelper()
	lifetime := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}
	Expect(Call(func(ctx context.Context) error {
		_, err := w.Client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: w.role + "-" + w.Namespace, Labels: w.labels},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: w.role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: w.account, Namespace: w.Namespace}},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		request, err = w.Client.CoreV1().ServiceAccounts(w.Namespace).CreateToken(ctx, w.account, request, metav1.CreateOptions{})
		return err
	})).To(Succeed(), "the daemon's credential")
	return request.Status.Token
}

// Kubeconfig is what the daemon gets: the front's address and certificate, and
// the token.
func (w *World) Kubeconfig(token string) []byte {
	ginkgo.GinkgoHelper()
	config := clientcmdapi.NewConfig()
	config.Clusters["case"] = &clientcmdapi.Cluster{Server: "https://" + w.Front.Address, CertificateAuthorityData: w.Front.Ca}
	config.AuthInfos["daemon"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["case"] = &clientcmdapi.Context{Cluster: "case", AuthInfo: "daemon", Namespace: w.Namespace}
	config.CurrentContext = "case"
	data, err := clientcmd.Write(*config)
	Expect(err).NotTo(HaveOccurred())
	return data
}
