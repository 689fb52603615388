// SPDX-License-Identifier: Apache-2.0

package kube

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

// NodeGroup is the group of the certificates of Multus' nodes.
const NodeGroup = "system:multus"

// Certifier approves and signs the requests for client certificates that the
// case's daemon makes, as a cluster's approver and controller manager do. The
// front takes what it signed for a proof of who asks.
type Certifier struct {
	world *World
	key   *ecdsa.PrivateKey
	ca    *x509.Certificate
}

// NewCertifier has the front accept the certificates of a new authority, and
// gives their group the daemon's rights.
func NewCertifier(w *World) *Certifier {
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
	w.Front.certify(ca, w.Access.Admin)
	c := &Certifier{world: w, key: key, ca: ca}
	asking := c.roleOfAsking()
	nodes := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: NodeGroup}
	c.bind(w.role, "nodes", nodes)
	c.bind(asking, "nodes-asking", nodes)
	return c
}

// roleOfAsking makes a role that may do nothing but ask for certificates.
func (c *Certifier) roleOfAsking() string {
	ginkgo.GinkgoHelper()
	name := c.world.role + "-" + c.world.Namespace + "-asking"
	Expect(Call(func(ctx context.Context) error {
		_, err := c.world.Client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: c.world.labels},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{certificatesv1.GroupName}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create", "get", "list", "watch"}}},
		}, metav1.CreateOptions{})
		return err
	})).To(Succeed())
	return name
}

func (c *Certifier) bind(role, name string, subject rbacv1.Subject) {
	ginkgo.GinkgoHelper()
	Expect(Call(func(ctx context.Context) error {
		_, err := c.world.Client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role + "-" + c.world.Namespace + "-" + name, Labels: c.world.labels},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{subject},
		}, metav1.CreateOptions{})
		return err
	})).To(Succeed())
}

// Bootstrap is a kubeconfig that may only ask for certificates.
func (c *Certifier) Bootstrap() []byte {
	ginkgo.GinkgoHelper()
	const account = "bootstrap"
	lifetime := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}
	c.bind(c.world.role+"-"+c.world.Namespace+"-asking", account, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: c.world.Namespace})
	Expect(Call(func(ctx context.Context) error {
		accounts := c.world.Client.CoreV1().ServiceAccounts(c.world.Namespace)
		_, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
		if err == nil {
			request, err = accounts.CreateToken(ctx, account, request, metav1.CreateOptions{})
		}
		return err
	})).To(Succeed())
	return c.world.Kubeconfig(request.Status.Token)
}

// Requests lists the requests that the case's daemon has made so far, the
// oldest first: those that name its node.
func (c *Certifier) Requests(node string) []certificatesv1.CertificateSigningRequest {
	ginkgo.GinkgoHelper()
	var list *certificatesv1.CertificateSigningRequestList
	Expect(Call(func(ctx context.Context) (err error) {
		list, err = c.world.Client.CertificatesV1().CertificateSigningRequests().List(ctx, metav1.ListOptions{})
		return err
	})).To(Succeed())
	own := slices.DeleteFunc(list.Items, func(r certificatesv1.CertificateSigningRequest) bool {
		wanted, err := RequestIn(&r)
		return err != nil || wanted.Subject.CommonName != NodeGroup+":"+node
	})
	slices.SortFunc(own, func(a, b certificatesv1.CertificateSigningRequest) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	return own
}

// RequestIn decodes what is to be signed.
func RequestIn(r *certificatesv1.CertificateSigningRequest) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(r.Spec.Request)
	if block == nil {
		return nil, http.ErrNotSupported
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// Sign approves a request and signs it for so long.
func (c *Certifier) Sign(r *certificatesv1.CertificateSigningRequest, lifetime time.Duration) {
	ginkgo.GinkgoHelper()
	wanted, err := RequestIn(r)
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
	Expect(Call(func(ctx context.Context) error {
		all := c.world.Client.CertificatesV1().CertificateSigningRequests()
		approved, err := all.UpdateApproval(ctx, r.Name, r, metav1.UpdateOptions{})
		if err != nil {
			return err
		}
		approved.Status.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		_, err = all.UpdateStatus(ctx, approved, metav1.UpdateOptions{})
		return err
	})).To(Succeed(), "signing the request %s", r.Name)
}

// Remove deletes the daemon's requests: they belong to no namespace.
func (c *Certifier) Remove(node string) {
	for _, r := range c.Requests(node) {
		_ = Call(func(ctx context.Context) error {
			return c.world.Client.CertificatesV1().CertificateSigningRequests().Delete(ctx, r.Name, metav1.DeleteOptions{})
		})
	}
}
