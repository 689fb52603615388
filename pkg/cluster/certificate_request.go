// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

const (
	requestResource = "certificatesigningrequests"
	// requestPatience is how long a request may wait to be approved and signed
	// before another one is made.
	requestPatience = 15 * time.Minute
	requestPoll     = time.Second
)

// request makes a key, has it signed with the rights of config, keeps it and
// uses it.
func (c *certificate) request(ctx context.Context, config *rest.Config) error {
	client, err := restClient(config, certificatesv1.SchemeGroupVersion, contentJSON)
	if err != nil {
		return err
	}
	key, csr, err := newCertificateRequest(c.node)
	if err != nil {
		return err
	}
	seconds := int32(min(c.options.Duration, 10*365*24*time.Hour) / time.Second) //nolint:gosec // ten years are few enough seconds
	made := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "thicket-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: csr, SignerName: certificatesv1.KubeAPIServerClientSignerName, ExpirationSeconds: &seconds,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if err := client.Post().Resource(requestResource).Body(made).Do(attempt).Into(made); err != nil {
		return fmt.Errorf("asking for a certificate: %w", explain(err, "create certificatesigningrequests, for", "the certificate"))
	}
	c.log.Info("a certificate is asked for; it has to be approved", "certificatesigningrequest", made.Name)
	signed, err := awaitSigned(ctx, client, made.Name)
	if err != nil {
		return fmt.Errorf("certificatesigningrequest %s: %w", made.Name, err)
	}
	pair, err := c.files.save(signed, key)
	if err != nil {
		return err
	}
	c.use(pair)
	return nil
}

// newCertificateRequest returns a new key and the request to sign it, in PEM.
func newCertificateRequest(node string) (key, csr []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: certificateUser + node, Organization: []string{certificateGroup}}}
	request, err := x509.CreateCertificateRequest(rand.Reader, template, private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}), nil
}

// awaitSigned polls a request until it is signed, which is its certificate, or refused.
func awaitSigned(ctx context.Context, client *rest.RESTClient, name string) (signed []byte, err error) {
	var last error
	err = wait.PollUntilContextTimeout(ctx, requestPoll, requestPatience, true, func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		var now certificatesv1.CertificateSigningRequest
		if last = client.Get().Resource(requestResource).Name(name).Do(ctx).Into(&now); last != nil {
			if transient(last) {
				return false, nil
			}
			return false, explain(last, "get", requestResource)
		}
		for _, condition := range now.Status.Conditions {
			if condition.Type != certificatesv1.CertificateApproved && condition.Status != corev1.ConditionFalse {
				return false, fmt.Errorf("%s: %s", condition.Type, condition.Message)
			}
		}
		signed = now.Status.Certificate
		return len(signed) > 0, nil
	})
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if wait.Interrupted(err) && last == nil {
		return nil, fmt.Errorf("neither approved nor signed after %s; approve it (kubectl certificate approve %s), or run an approver", requestPatience, name)
	}
	return signed, err
}
