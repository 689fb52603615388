// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// TestRenewalOutlivesTheCertificate: nobody signs the next certificate before this one
// ends, with which nothing can be asked for any more. The bootstrap kubeconfig can.
func TestRenewalOutlivesTheCertificate(t *testing.T) {
	unsigned := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(certificatesv1.CertificateSigningRequest{
			TypeMeta: metav1.TypeMeta{Kind: "CertificateSigningRequest", APIVersion: "certificates.k8s.io/v1"}, ObjectMeta: metav1.ObjectMeta{Name: "waits"}})
	}))
	defer unsigned.Close()
	asked := make(chan string, 1)
	bootstrap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Method + " " + r.URL.Path:
		default:
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer bootstrap.Close()
	var log strings.Builder
	c := &certificate{
		options: CertificateOptions{Duration: time.Hour}, node: "n1", log: slog.New(slog.NewTextHandler(&log, nil)),
		config: &rest.Config{Host: unsigned.URL}, bootstrap: &rest.Config{Host: bootstrap.URL},
	}
	now := time.Now()
	c.current.Store(&tls.Certificate{Leaf: &x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Second)}})
	ended := make(chan struct{})
	go func() {
		c.renew(t.Context())
		close(ended)
	}()
	t.Cleanup(func() {
		<-ended
		if !strings.Contains(log.String(), errCertificateEnded.Error()) {
			t.Errorf("the log does not say why: %s", log.String())
		}
	})
	select {
	case got := <-asked:
		if got != "POST /apis/certificates.k8s.io/v1/certificatesigningrequests" {
			t.Errorf("the bootstrap kubeconfig was used for %s", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("the bootstrap kubeconfig was not used")
	}
}
