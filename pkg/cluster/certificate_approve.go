// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
)

const (
	// nodeUser and nodeGroup are those of a node's kubelet, by whose identity the
	// first certificate is asked for.
	nodeUser  = "system:node:"
	nodeGroup = "system:nodes"
	// longestCertificate is the longest life that is approved (Multus).
	longestCertificate = 365 * 24 * time.Hour
	// maxRequest is the largest request that is read, in bytes. A real one has
	// some 500.
	maxRequest = 64 << 10
)

// certificateUsages are those of a node's client certificate.
var certificateUsages = []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth}

// verdict is what becomes of a request for a certificate.
type verdict int

const (
	// notOurs leaves a request to whoever it concerns.
	notOurs verdict = iota
	approved
	denied
)

// judgeRequest decides on a request for a client certificate. It approves what a
// node asks for itself: its kubelet, or the daemon with the certificate that it
// has. Anything else that would speak for a daemon is denied, with the reason.
func judgeRequest(r *certificatesv1.CertificateSigningRequest) (verdict, error) {
	if r.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName || len(r.Status.Certificate) > 0 || isDecided(r) {
		return notOurs, nil
	}
	wanted, err := decodeRequest(r.Spec.Request)
	if err != nil {
		return notOurs, nil //nolint:nilerr // what cannot be read cannot be signed either
	}
	if !strings.HasPrefix(wanted.Subject.CommonName, certificateUser) && !slices.Contains(wanted.Subject.Organization, certificateGroup) {
		return notOurs, nil
	}
	node, err := nodeAsking(&r.Spec)
	if err == nil {
		err = errors.Join(checkSubject(wanted, node), checkTerms(&r.Spec))
	}
	if err != nil {
		return denied, err
	}
	return approved, nil
}

// isDecided reports whether somebody has decided on a request.
func isDecided(r *certificatesv1.CertificateSigningRequest) bool {
	return slices.ContainsFunc(r.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool {
		return c.Type == certificatesv1.CertificateApproved || c.Type == certificatesv1.CertificateDenied
	})
}

func decodeRequest(text []byte) (*x509.CertificateRequest, error) {
	if len(text) > maxRequest {
		return nil, fmt.Errorf("the request has %d bytes; the most is %d", len(text), maxRequest)
	}
	block, rest := pem.Decode(text)
	if block == nil || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("want one certificate request in PEM")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// nodeAsking returns the node that made a request, by the user and the groups
// that the API server found it to be.
func nodeAsking(s *certificatesv1.CertificateSigningRequestSpec) (string, error) {
	for _, identity := range []struct{ prefix, group string }{{nodeUser, nodeGroup}, {certificateUser, certificateGroup}} {
		node, is := strings.CutPrefix(s.Username, identity.prefix)
		if !is {
			continue
		}
		switch {
		case !ValidName(node):
			return "", fmt.Errorf("user %q does not name a node", s.Username)
		case !slices.Contains(s.Groups, identity.group):
			return "", fmt.Errorf("user %q is not in the group %s", s.Username, identity.group)
		}
		return node, nil
	}
	return "", fmt.Errorf("user %q is not a node", s.Username)
}

// checkSubject refuses a request for anything but the daemon of this very node.
func checkSubject(wanted *x509.CertificateRequest, node string) error {
	if want := certificateUser + node; wanted.Subject.CommonName != want {
		return fmt.Errorf("node %s asks for a certificate of %q; it may ask for %q", node, wanted.Subject.CommonName, want)
	}
	if !slices.Equal(wanted.Subject.Organization, []string{certificateGroup}) {
		return fmt.Errorf("the organization is %q; want %q alone", wanted.Subject.Organization, certificateGroup)
	}
	// Whatever else the subject has could be a further name some day: a UID is
	// one since Kubernetes 1.33.
	if len(wanted.Subject.Names) != 2 {
		return errors.New("the subject has more than a common name and an organization")
	}
	if len(wanted.DNSNames)+len(wanted.EmailAddresses)+len(wanted.IPAddresses)+len(wanted.URIs) > 0 {
		return errors.New("a client certificate needs no alternative names")
	}
	if err := wanted.CheckSignature(); err != nil {
		return fmt.Errorf("the request is not signed by its own key: %w", err)
	}
	return nil
}

// checkTerms refuses a certificate for another purpose, or for ever.
func checkTerms(s *certificatesv1.CertificateSigningRequestSpec) error {
	usages := slices.Clone(s.Usages)
	slices.Sort(usages)
	want := slices.Sorted(slices.Values(certificateUsages))
	if !slices.Equal(slices.Compact(usages), want) {
		return fmt.Errorf("the usages are %q; want %q", s.Usages, want)
	}
	if s.ExpirationSeconds == nil {
		return errors.New("the request does not say how long the certificate is to be valid (expirationSeconds)")
	}
	if life := time.Duration(*s.ExpirationSeconds) * time.Second; life > longestCertificate {
		return fmt.Errorf("%s is too long; the most is %s (certDuration)", life, longestCertificate)
	}
	return nil
}
