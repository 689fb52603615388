// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/thicket-cni/thicket/conformance/apiserver"
)

const approverManifest = "../../kind/manifests/per-node-certificate/approver.yaml"

// TestApproveWithAPIServer: the command, with the rights of its manifest and no
// others, decides on requests in a real API server: those that are there when it
// starts and those that come, also while it could not be reached.
func TestApproveWithAPIServer(t *testing.T) {
	assets, err := apiserver.Assets("../../bin/k8s")
	if err != nil {
		t.Skip(err)
	}
	g := NewWithT(t)
	server, err := apiserver.Start(t.Context(), apiserver.Options{Assets: assets, Dir: t.TempDir()})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = server.Stop() }()
	admin, err := kubernetes.NewForConfig(server.Config)
	g.Expect(err).NotTo(HaveOccurred())
	letAsk(t, admin)
	early := ask(t, server.Config, "system:node:one", "system:nodes", "system:multus:one")
	foreign := ask(t, server.Config, "system:node:one", "system:nodes", "alice")

	startApprover(t, approverKubeconfig(t, admin, server.Config))
	renewed := ask(t, server.Config, "system:multus:two", "system:multus", "system:multus:two")
	stolen := ask(t, server.Config, "system:node:one", "system:nodes", "system:multus:two")
	stranger := ask(t, server.Config, "mallory", "system:nodes", "system:multus:one")
	decision := func(name string) func(Gomega) []certificatesv1.RequestConditionType {
		return func(g Gomega) (types []certificatesv1.RequestConditionType) {
			r, err := admin.CertificatesV1().CertificateSigningRequests().Get(t.Context(), name, metav1.GetOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			for _, c := range r.Status.Conditions {
				types = append(types, c.Type)
			}
			return types
		}
	}
	soon := 20 * time.Second
	g.Eventually(decision(early)).WithTimeout(soon).Should(HaveExactElements(certificatesv1.CertificateApproved))
	g.Eventually(decision(renewed)).WithTimeout(soon).Should(HaveExactElements(certificatesv1.CertificateApproved))
	g.Eventually(decision(stolen)).WithTimeout(soon).Should(HaveExactElements(certificatesv1.CertificateDenied))
	g.Eventually(decision(stranger)).WithTimeout(soon).Should(HaveExactElements(certificatesv1.CertificateDenied))
	// It was there before all of these.
	g.Expect(decision(foreign)(g)).To(BeEmpty(), "a request that does not concern Thicket")
}

// startApprover runs the command until the test ends, as a process of its own: it
// ends by a signal.
func startApprover(t *testing.T, kubeconfig string) {
	t.Helper()
	g := NewWithT(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestApproverProcess$")
	cmd.Env = append(os.Environ(), "THICKETD_TEST_APPROVE="+kubeconfig)
	log := &strings.Builder{}
	cmd.Stderr = log
	g.Expect(cmd.Start()).To(Succeed())
	t.Cleanup(func() {
		g.Expect(cmd.Process.Signal(syscall.SIGTERM)).To(Succeed())
		g.Expect(cmd.Wait()).To(Succeed(), "SIGTERM ends it without an error")
		if t.Failed() {
			t.Log(log)
		}
	})
}

// TestApproverProcess is the process of startApprover.
func TestApproverProcess(t *testing.T) {
	kubeconfig := os.Getenv("THICKETD_TEST_APPROVE")
	if kubeconfig == "" {
		t.Skip("only for TestApproveWithAPIServer")
	}
	if err := run([]string{"approve", "--kubeconfig", kubeconfig}, io.Discard, os.Stderr); err != nil {
		t.Fatal(err)
	}
}

// letAsk lets nodes ask for certificates, as a cluster's node authorizer does.
func letAsk(t *testing.T, admin kubernetes.Interface) {
	t.Helper()
	g := NewWithT(t)
	_, err := admin.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "asking"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{certificatesv1.GroupName}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create"}}},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "asking"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "asking"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:authenticated"}},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
}

// ask makes a request as a user, and returns its name.
func ask(t *testing.T, admin *rest.Config, user, group, commonName string) (name string) {
	t.Helper()
	g := NewWithT(t)
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{group, "system:authenticated"}}
	client, err := kubernetes.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	subject := pkix.Name{CommonName: commonName, Organization: []string{"system:multus"}}
	if !strings.HasPrefix(commonName, "system:") {
		subject.Organization = nil
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key)
	g.Expect(err).NotTo(HaveOccurred())
	request := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, ExpirationSeconds: ptr.To[int32](600),
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}
	// What was allowed a moment ago may not be known to the authorizer yet.
	g.Eventually(func() error {
		made, err := client.CertificatesV1().CertificateSigningRequests().Create(t.Context(), request, metav1.CreateOptions{})
		if err == nil {
			name = made.Name
		}
		return err
	}).WithTimeout(10 * time.Second).Should(Succeed())
	return name
}

// approverKubeconfig makes the approver's account with the rights of its manifest.
func approverKubeconfig(t *testing.T, admin kubernetes.Interface, config *rest.Config) string {
	t.Helper()
	g := NewWithT(t)
	manifest, err := os.ReadFile(approverManifest)
	g.Expect(err).NotTo(HaveOccurred())
	for document := range strings.SplitSeq(string(manifest), "\n---\n") {
		g.Expect(create(t.Context(), admin, document)).To(Succeed())
	}
	return accountKubeconfig(t, admin, config, "thicket-approver")
}

// accountKubeconfig is a kubeconfig of a service account of kube-system.
func accountKubeconfig(t *testing.T, admin kubernetes.Interface, config *rest.Config, account string) string {
	t.Helper()
	g := NewWithT(t)
	token, err := admin.CoreV1().ServiceAccounts("kube-system").CreateToken(t.Context(), account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](3600)}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	g.Expect(clientcmd.WriteToFile(*file, path)).To(Succeed())
	return path
}

// create makes the account, the role and the binding of a manifest.
func create(ctx context.Context, admin kubernetes.Interface, document string) error {
	var of metav1.TypeMeta
	err := k8syaml.Unmarshal([]byte(document), &of)
	if err != nil {
		return err
	}
	switch of.Kind {
	case "ServiceAccount":
		var account corev1.ServiceAccount
		if err = k8syaml.Unmarshal([]byte(document), &account); err == nil {
			_, err = admin.CoreV1().ServiceAccounts("kube-system").Create(ctx, &account, metav1.CreateOptions{})
		}
	case "ClusterRole":
		var role rbacv1.ClusterRole
		if err = k8syaml.Unmarshal([]byte(document), &role); err == nil {
			_, err = admin.RbacV1().ClusterRoles().Create(ctx, &role, metav1.CreateOptions{})
		}
	case "ClusterRoleBinding":
		var binding rbacv1.ClusterRoleBinding
		if err = k8syaml.Unmarshal([]byte(document), &binding); err == nil {
			_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &binding, metav1.CreateOptions{})
		}
	}
	return err
}
