// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"crypto/x509"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

var certificateCases = []thick.Case{
	{
		ID: "NET-15", Level: spec.Should, Source: "Multus", Needs: []spec.Feature{thick.FeatureKubernetes, thick.FeatureCertificate, thick.FeatureRestart},
		Body: certificateOfNode, Slow: 25 * time.Second, Timeout: 2 * time.Minute,
		Title: "perNodeCertificate: the daemon asks for a client certificate, serves with it, renews it in time, and keeps it",
	},
}

// firstLifetime is how long the first certificate is valid. The request for the next
// one, its signature and the daemon's next look have to fit into the last tenth.
func firstLifetime() time.Duration { return suite.Patience(15 * time.Second) }

// certificateOfNode is NET-15.
func certificateOfNode(ctx context.Context, e *thick.Env) {
	w := e.Api()
	if w.Access.AuditLog == "" {
		e.Skipf("in this cluster somebody else signs certificates; leave --kubeconfig out, for the suite's own API server")
	}
	signer := kube.NewCertifier(w)
	defer signer.Remove(e.NodeName)
	kept := filepath.Join(e.Dir, "certificates")
	options := []thick.StartOption{thick.ConfigPatch(func(config map[string]any) {
		delete(config, "kubeconfig")
		config["perNodeCertificate"] = map[string]any{
			"enabled": true, "bootstrapKubeconfig": filepath.Join(e.Dir, "bootstrap"), "certDir": kept, "certDuration": "10m",
		}
	})}
	e.File("bootstrap", string(signer.Bootstrap()))
	e.Definition("alpha", e.FakeList("alpha"))

	ginkgo.By("asking, and nothing before the answer")
	d := e.Start(ctx, append(options, thick.WithoutWaiting())...)
	first := awaitRequest(ctx, e, signer, 1)
	expectCertificateRequest(first, e.NodeName)
	if e.Supports(thick.FeatureReadyz) {
		Expect(e.Probe(ctx, e.RunDir, "/readyz")).NotTo(Succeed(), "readiness without a certificate")
	}
	signer.Sign(first, firstLifetime())
	end := time.Now().Add(firstLifetime())
	s := e.Sandbox(node.Networks("alpha"))
	Eventually(func() bool { return e.Add(ctx, s).OK() }).WithContext(ctx).WithTimeout(10*time.Second).WithPolling(100*time.Millisecond).
		Should(BeTrue(), "an ADD with the certificate")
	Expect(w.Front.Certified.Load()).To(BeNumerically(">", 0), "requests that showed the certificate")
	e.MustOK(e.Del(ctx, s))

	ginkgo.By("renewing it before it ends, with itself")
	second := awaitRequest(ctx, e, signer, 2)
	Expect(time.Now()).To(BeTemporally("<", end), "the request comes before the certificate's end")
	Expect(second.Spec.Username).To(Equal(kube.NodeGroup+":"+e.NodeName), "who asks for the second certificate")
	signer.Sign(second, time.Hour)
	Eventually(time.Now).WithContext(ctx).WithTimeout(30*time.Second).Should(BeTemporally(">", end.Add(time.Second)), "the end of the first certificate")
	e.MustOK(e.Add(ctx, s))
	e.Definition("beta", e.FakeList("beta"))
	later := e.Sandbox(node.Networks("beta"))
	e.MustOK(e.Add(ctx, later))
	expectRootOnly(kept)

	ginkgo.By("keeping it over a restart")
	d.Stop(ctx)
	e.Start(ctx, options...)
	e.MustOK(e.Del(ctx, s))
	e.MustOK(e.Add(ctx, s))
	Expect(signer.Requests(e.NodeName)).To(HaveLen(2), "no further certificate is needed")
}

// awaitRequest waits for the daemon's nth request for a certificate.
func awaitRequest(ctx context.Context, e *thick.Env, signer *kube.Certifier, n int) *certificatesv1.CertificateSigningRequest {
	ginkgo.GinkgoHelper()
	var all []certificatesv1.CertificateSigningRequest
	Eventually(func() int {
		all = signer.Requests(e.NodeName)
		return len(all)
	}).WithContext(ctx).WithTimeout(25*time.Second).WithPolling(50*time.Millisecond).Should(BeNumerically(">=", n), "requests for a certificate")
	return &all[n-1]
}

func expectCertificateRequest(r *certificatesv1.CertificateSigningRequest, node string) {
	ginkgo.GinkgoHelper()
	Expect(r.Spec.SignerName).To(Equal(certificatesv1.KubeAPIServerClientSignerName), "the signer of the certificate that was requested")
	Expect(r.Spec.Usages).To(ContainElement(certificatesv1.UsageClientAuth), "usages of the certificate that was requested")
	Expect(*r.Spec.ExpirationSeconds).To(BeEquivalentTo(600), "certDuration")
	wanted, err := kube.RequestIn(r)
	Expect(err).NotTo(HaveOccurred())
	Expect(wanted.Subject.CommonName).To(Equal(kube.NodeGroup+":"+node), "the common name of the certificate that was requested")
	Expect(wanted.Subject.Organization).To(ConsistOf(kube.NodeGroup), "the organization of the certificate that was requested")
	Expect(wanted.PublicKeyAlgorithm).To(Or(Equal(x509.ECDSA), Equal(x509.RSA), Equal(x509.Ed25519)), "the key of the certificate that was requested")
}

// expectRootOnly asserts that nobody but root reads a file below a directory.
func expectRootOnly(dir string) {
	ginkgo.GinkgoHelper()
	Expect(node.Walk(dir, func(path string, entry fs.DirEntry) error {
		if entry.Type()&fs.ModeSymlink != 0 {
			return nil
		}
		info, err := entry.Info()
		if err == nil {
			Expect(info.Mode().Perm()&0o077).To(BeZero(), "mode %s of %s", info.Mode(), path)
		}
		return err
	})).To(Succeed())
}
