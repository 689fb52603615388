// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodeGroup is the group of the certificates of Multus' nodes.
const nodeGroup = "system:multus"

// certifier approves and signs the requests for client certificates that the
// case's daemon makes, as a cluster's approver and controller manager do. The
// front takes what it signed for a proof of who asks.
type certifier struct {
	world *apiWorld
	key   *ecdsa.PrivateKey
	ca    *x509.Certificate
}

// newCertifier has the front accept the certificates of a new authority, and
// gives their group the daemon's rights.
func newCertifier(w *apiWorld) *certifier {
	ginkgo.GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "case"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	Expect(err).NotTo(HaveOccurred())
	ca, err := x509.ParseCertificate(der)
	Expect(err).NotTo(HaveOccurred())
	w.front.certify(ca, w.access.Admin)
	c := &certifier{world: w, key: key, ca: ca}
	asking := c.roleOfAsking()
	nodes := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: nodeGroup}
	c.bind(w.role, "nodes", nodes)
	c.bind(asking, "nodes-asking", nodes)
	return c
}

// roleOfAsking makes a role that may do nothing but ask for certificates.
func (c *certifier) roleOfAsking() string {
	ginkgo.GinkgoHelper()
	name := c.world.role + "-" + c.world.namespace + "-asking"
	Expect(call(func(ctx context.Context) error {
		_, err := c.world.client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: c.world.labels},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{certificatesv1.GroupName}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create", "get", "list", "watch"}}},
		}, metav1.CreateOptions{})
		return err
	})).To(Succeed())
	return name
}

func (c *certifier) bind(role, name string, subject rbacv1.Subject) {
	ginkgo.GinkgoHelper()
	Expect(call(func(ctx context.Context) error {
		_, err := c.world.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role + "-" + c.world.namespace + "-" + name, Labels: c.world.labels},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{subject},
		}, metav1.CreateOptions{})
		return err
	})).To(Succeed())
}

// bootstrap is a kubeconfig that may only ask for certificates.
func (c *certifier) bootstrap() []byte {
	ginkgo.GinkgoHelper()
	const account = "bootstrap"
	lifetime := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}
	c.bind(c.world.role+"-"+c.world.namespace+"-asking", account, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: c.world.namespace})
	Expect(call(func(ctx context.Context) error {
		accounts := c.world.client.CoreV1().ServiceAccounts(c.world.namespace)
		_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
		if err == nil {
			request, err = accounts.CreateToken(ctx, account, request, metav1.CreateOptions{})
		}
		return err
	})).To(Succeed())
	return c.world.kubeconfig(request.Status.Token)
}

// requests lists the requests that the case's daemon has made so far, the
// oldest first: those that name its node.
func (c *certifier) requests(node string) []certificatesv1.CertificateSigningRequest {
	ginkgo.GinkgoHelper()
	var list *certificatesv1.CertificateSigningRequestList
	Expect(call(func(ctx context.Context) (err error) {
		list, err = c.world.client.CertificatesV1().CertificateSigningRequests().List(ctx, metav1.ListOptions{})
		return err
	})).To(Succeed())
	own := slices.DeleteFunc(list.Items, func(r certificatesv1.CertificateSigningRequest) bool {
		wanted, err := requestIn(&r)
		return err != nil || wanted.Subject.CommonName != nodeGroup+":"+node
	})
	slices.SortFunc(own, func(a, b certificatesv1.CertificateSigningRequest) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	return own
}

// requestIn decodes what is to be signed.
func requestIn(r *certificatesv1.CertificateSigningRequest) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(r.Spec.Request)
	if block == nil {
		return nil, http.ErrNotSupported
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// sign approves a request and signs it for so long.
func (c *certifier) sign(r *certificatesv1.CertificateSigningRequest, lifetime time.Duration) {
	ginkgo.GinkgoHelper()
	wanted, err := requestIn(r)
	Expect(err).NotTo(HaveOccurred())
	Expect(wanted.CheckSignature()).To(Succeed())
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: wanted.Subject, NotBefore: now, NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.ca, wanted.PublicKey, c.key)
	Expect(err).NotTo(HaveOccurred())
	r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Case", Message: "approved by the suite",
	})
	Expect(call(func(ctx context.Context) error {
		all := c.world.client.CertificatesV1().CertificateSigningRequests()
		approved, err := all.UpdateApproval(ctx, r.Name, r, metav1.UpdateOptions{})
		if err != nil {
			return err
		}
		approved.Status.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		_, err = all.UpdateStatus(ctx, approved, metav1.UpdateOptions{})
		return err
	})).To(Succeed(), "signing the request %s", r.Name)
}

// remove deletes the daemon's requests: they belong to no namespace.
func (c *certifier) remove(node string) {
	for _, r := range c.requests(node) {
		_ = call(func(ctx context.Context) error {
			return c.world.client.CertificatesV1().CertificateSigningRequests().Delete(ctx, r.Name, metav1.DeleteOptions{})
		})
	}
}
