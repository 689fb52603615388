// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
)

// nodeCertificates is what requests for a daemon's certificate name as organization.
const nodeCertificates = "system:multus"

var _ = Describe("a day", Serial, func() {
	It("on which daemons get certificates of their own", func(ctx SpecContext) {
		image := the.daemonImage(ctx)
		DeferCleanup(func(ctx SpecContext) {
			removeThicket(ctx)
			_, err := the.kubectl(ctx, "", "delete", "-n", daemonNamespace, "deployment/thicket-approver", "serviceaccount/thicket-approver",
				"clusterrole/thicket-approver", "clusterrolebinding/thicket-approver", "clusterrole/thicket-certificate", "clusterrolebinding/thicket-certificate",
				"--ignore-not-found")
			Expect(err).NotTo(HaveOccurred())
			for _, node := range the.workers {
				the.do(ctx, node, "rm -rf /var/lib/cni/multus/certs")
			}
			installThicket(ctx, image)
		})

		By("the overlay as it is: nobody approves anything by hand")
		manifests, err := the.kubectl(ctx, "", "kustomize", repository("kind/manifests/per-node-certificate"))
		Expect(err).NotTo(HaveOccurred())
		the.apply(ctx, strings.ReplaceAll(manifests, "image: thicket\n", "image: "+image+"\n"))
		// There is no kube-proxy: see manifests/kind.
		_, err = the.kubectl(ctx, "", "set", "env", "-n", daemonNamespace, "deployment/thicket-approver",
			"KUBERNETES_SERVICE_HOST=thicket-control-plane", "KUBERNETES_SERVICE_PORT=6443")
		Expect(err).NotTo(HaveOccurred())
		the.awaitDaemons(ctx)
		for _, node := range the.workers {
			subject := the.do(ctx, node, "openssl x509 -noout -subject -in /var/lib/cni/multus/certs/multus-client-current.pem 2>/dev/null || echo none")
			Expect(subject).To(Or(ContainSubstring(nodeCertificates+":"+node), Equal("none")), "no openssl on the node is no failure")
			Expect(requestedBy(ctx, "system:node:"+node)).To(ContainElement(approvedFor(node)))
		}

		By("pods get their networks by it")
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		for _, node := range the.workers {
			run(ctx, podOn(node, ns, "on-"+node, with("local")))
		}

		By("a node's request for another node is denied")
		name := askAs(ctx, the.workers[0], the.workers[1])
		DeferCleanup(func(ctx SpecContext) {
			Expect(the.CertificatesV1().CertificateSigningRequests().Delete(ctx, name, metav1.DeleteOptions{})).To(Succeed())
		})
		Eventually(func(g Gomega) {
			r, err := the.CertificatesV1().CertificateSigningRequests().Get(ctx, name, metav1.GetOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(r.Status.Conditions).To(ConsistOf(HaveField("Type", certificatesv1.CertificateDenied)))
		}).WithContext(ctx).Should(Succeed())
	})
})

// requestedBy lists the requests of a user.
func requestedBy(ctx context.Context, user string) []certificatesv1.CertificateSigningRequest {
	GinkgoHelper()
	all, err := the.CertificatesV1().CertificateSigningRequests().List(ctx, metav1.ListOptions{})
	Expect(err).NotTo(HaveOccurred())
	var own []certificatesv1.CertificateSigningRequest
	for _, r := range all.Items {
		if r.Spec.Username == user {
			own = append(own, r)
		}
	}
	return own
}

// approvedFor matches a request for a node's daemon that was approved and signed.
func approvedFor(node string) types.GomegaMatcher {
	return WithTransform(func(r certificatesv1.CertificateSigningRequest) string {
		block, _ := pem.Decode(r.Status.Certificate)
		if block == nil {
			return ""
		}
		signed, err := x509.ParseCertificate(block.Bytes)
		Expect(err).NotTo(HaveOccurred())
		return signed.Subject.CommonName
	}, Equal(nodeCertificates+":"+node))
}

// askAs has a node's kubelet identity ask for the certificate of another node's
// daemon, and returns the request's name.
func askAs(ctx context.Context, node, forNode string) string {
	GinkgoHelper()
	config, err := clientcmd.BuildConfigFromFlags("", the.kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:node:" + node, Groups: []string{"system:nodes", "system:authenticated"}}
	client, err := kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: nodeCertificates + ":" + forNode, Organization: []string{nodeCertificates}},
	}, key)
	Expect(err).NotTo(HaveOccurred())
	r, err := client.CertificatesV1().CertificateSigningRequests().Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, ExpirationSeconds: ptr.To[int32](600),
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	return r.Name
}
