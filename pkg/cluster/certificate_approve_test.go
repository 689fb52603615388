// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
)

// asking is a request that a node's kubelet makes for its daemon, with changes.
func asking(t *testing.T, subject func(*x509.CertificateRequest), terms func(*certificatesv1.CertificateSigningRequest)) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wanted := &x509.CertificateRequest{Subject: pkix.Name{CommonName: certificateUser + "worker-1", Organization: []string{certificateGroup}}}
	if subject != nil {
		subject(wanted)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, wanted, key)
	if err != nil {
		t.Fatal(err)
	}
	seconds := int32(600)
	r := &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{
		Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		SignerName: certificatesv1.KubeAPIServerClientSignerName, ExpirationSeconds: &seconds,
		Usages:   []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		Username: "system:node:worker-1", Groups: []string{"system:nodes", "system:authenticated"},
	}}
	if terms != nil {
		terms(r)
	}
	return r
}

func TestJudgeRequest(t *testing.T) {
	type request = certificatesv1.CertificateSigningRequest
	for name, c := range map[string]struct {
		subject func(*x509.CertificateRequest)
		terms   func(*request)
		want    verdict
		why     string
	}{
		"a kubelet for its node": {want: approved},
		"a daemon that renews its own": {terms: func(r *request) {
			r.Spec.Username, r.Spec.Groups = "system:multus:worker-1", []string{"system:multus", "system:authenticated"}
		}, want: approved},
		"a year": {terms: func(r *request) { *r.Spec.ExpirationSeconds = 365 * 24 * 3600 }, want: approved},

		"another signer": {terms: func(r *request) { r.Spec.SignerName = certificatesv1.KubeletServingSignerName }, want: notOurs},
		"somebody else's client": {subject: func(w *x509.CertificateRequest) {
			w.Subject = pkix.Name{CommonName: "alice", Organization: []string{"developers"}}
		}, want: notOurs},
		"a name that begins alike": {subject: func(w *x509.CertificateRequest) {
			w.Subject = pkix.Name{CommonName: "system:multus-operator", Organization: []string{"operators"}}
		}, want: notOurs},
		"decided already": {terms: func(r *request) {
			r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied}}
		}, want: notOurs},
		"signed already":       {terms: func(r *request) { r.Status.Certificate = []byte("x") }, want: notOurs},
		"no request at all":    {terms: func(r *request) { r.Spec.Request = []byte("none") }, want: notOurs},
		"too large to be read": {terms: func(r *request) { r.Spec.Request = append(r.Spec.Request, make([]byte, maxRequest)...) }, want: notOurs},

		"a node for another one": {terms: func(r *request) { r.Spec.Username = "system:node:worker-2" }, want: denied, why: "node worker-2 asks for a certificate of \"system:multus:worker-1\""},
		"a daemon for another node": {terms: func(r *request) {
			r.Spec.Username, r.Spec.Groups = "system:multus:worker-2", []string{"system:multus"}
		}, want: denied, why: "worker-2"},
		"a service account": {terms: func(r *request) {
			r.Spec.Username, r.Spec.Groups = "system:serviceaccount:default:worker-1", []string{"system:serviceaccounts"}
		}, want: denied, why: "is not a node"},
		"an administrator":      {terms: func(r *request) { r.Spec.Username, r.Spec.Groups = "kubernetes-admin", []string{"system:masters"} }, want: denied, why: "is not a node"},
		"a node's name alone":   {terms: func(r *request) { r.Spec.Groups = []string{"system:authenticated"} }, want: denied, why: "not in the group system:nodes"},
		"a daemon's name alone": {terms: func(r *request) { r.Spec.Username, r.Spec.Groups = "system:multus:worker-1", []string{"system:nodes"} }, want: denied, why: "not in the group system:multus"},
		"no node's name":        {terms: func(r *request) { r.Spec.Username = "system:node:" }, want: denied, why: "does not name a node"},
		"a bootstrap token": {terms: func(r *request) {
			r.Spec.Username, r.Spec.Groups = "system:bootstrap:abcdef", []string{"system:bootstrappers"}
		}, want: denied, why: "is not a node"},
		"the group under a name": {subject: func(w *x509.CertificateRequest) { w.Subject.CommonName = "worker-1" }, want: denied, why: "it may ask for"},
		"another group":          {subject: func(w *x509.CertificateRequest) { w.Subject.Organization = []string{"system:masters"} }, want: denied, why: "the organization is"},
		"one group more": {subject: func(w *x509.CertificateRequest) {
			w.Subject.Organization = []string{certificateGroup, "system:masters"}
		}, want: denied, why: "the organization is"},
		"a unit": {subject: func(w *x509.CertificateRequest) { w.Subject.OrganizationalUnit = []string{"x"} }, want: denied, why: "the subject has more"},
		"a UID": {subject: func(w *x509.CertificateRequest) {
			w.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}, Value: "1"}}
		}, want: denied, why: "the subject has more"},
		"a DNS name":              {subject: func(w *x509.CertificateRequest) { w.DNSNames = []string{"kubernetes"} }, want: denied, why: "alternative names"},
		"an address":              {subject: func(w *x509.CertificateRequest) { w.IPAddresses = []net.IP{{127, 0, 0, 1}} }, want: denied, why: "alternative names"},
		"a server's certificate":  {terms: func(r *request) { r.Spec.Usages = append(r.Spec.Usages, certificatesv1.UsageServerAuth) }, want: denied, why: "the usages are"},
		"no client's certificate": {terms: func(r *request) { r.Spec.Usages = r.Spec.Usages[:1] }, want: denied, why: "the usages are"},
		"for ever":                {terms: func(r *request) { r.Spec.ExpirationSeconds = nil }, want: denied, why: "how long"},
		"for too long":            {terms: func(r *request) { *r.Spec.ExpirationSeconds = 365*24*3600 + 1 }, want: denied, why: "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			got, why := judgeRequest(asking(t, c.subject, c.terms))
			if got != c.want {
				t.Errorf("verdict %d, want %d (%v)", got, c.want, why)
			}
			if (why == nil) != (c.why == "") || why != nil && !strings.Contains(why.Error(), c.why) {
				t.Errorf("reason %v, want %q", why, c.why)
			}
		})
	}
}

// TestRequestOfAnotherKey: who has no key gets no certificate for it.
func TestRequestOfAnotherKey(t *testing.T) {
	r := asking(t, nil, nil)
	block, _ := pem.Decode(r.Spec.Request)
	block.Bytes[len(block.Bytes)-1] ^= 1
	r.Spec.Request = pem.EncodeToMemory(block)
	if got, why := judgeRequest(r); got == approved {
		t.Errorf("verdict %d (%v)", got, why)
	}
}

// TestOwnRequestIsApproved: the approver and the daemon mean the same request.
func TestOwnRequestIsApproved(t *testing.T) {
	_, csr, err := newCertificateRequest("worker-1")
	if err != nil {
		t.Fatal(err)
	}
	r := asking(t, nil, func(r *certificatesv1.CertificateSigningRequest) {
		r.Spec.Request = csr
		*r.Spec.ExpirationSeconds = int32((10 * time.Minute).Seconds())
	})
	if got, why := judgeRequest(r); got != approved {
		t.Errorf("verdict %d: %v", got, why)
	}
}
