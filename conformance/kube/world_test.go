// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/thicket-cni/thicket/conformance/apiserver"
	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// daemonClients are what a daemon has of a case's API server.
func daemonClients(e *thick.Env) (kubernetes.Interface, dynamic.Interface) {
	config, err := clientcmd.BuildConfigFromFlags("", e.Kubeconfig())
	Expect(err).NotTo(HaveOccurred())
	config.Timeout = 3 * time.Second
	client, err := kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	dyn, err := dynamic.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	return client, dyn
}

func podsInAPI(ctx context.Context, e *thick.Env) {
	client, dyn := daemonClients(e)
	s := e.Sandbox(node.Networks("blue"))
	listed := metav1.ListOptions{FieldSelector: "spec.nodeName=" + e.NodeName}
	pods, err := client.CoreV1().Pods("").List(ctx, listed)
	Expect(err).NotTo(HaveOccurred())
	Expect(pods.Items).To(HaveLen(1))
	Expect(string(pods.Items[0].UID)).To(Equal(s.PodUID), "the sandbox has the UID that the API server gave")
	Expect(e.Status(s)).To(BeNil())
	patch := []byte(`{"metadata":{"annotations":{"` + kube.StatusAnnotation + `":"[{\"name\":\"default\"}]"}}}`)
	_, err = client.CoreV1().Pods(e.Namespace).Patch(ctx, s.PodName, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	Expect(err).NotTo(HaveOccurred(), "a daemon may publish the status")
	Expect(e.Status(s)).To(HaveExactElements(HaveKeyWithValue("name", "default")))
	e.WritePod(s, map[string]string{"a": "b"})
	Expect(e.Api().Annotations(s)).To(And(HaveKeyWithValue("a", "b"), HaveKey(kube.StatusAnnotation), HaveLen(2)))
	old := s.PodUID
	s.PodUID = "another"
	e.WritePod(s, nil)
	Expect(s.PodUID).NotTo(BeElementOf(old, "another"), "the pod is made anew")
	e.DeletePod(s)
	Expect(e.Api().Annotations(s)).To(BeNil())

	for _, namespace := range []string{e.Namespace, e.NewNamespace()} {
		e.DefinitionIn(namespace, "blue", "one")
		e.DefinitionIn(namespace, "blue", "two")
		definition, err := dyn.Resource(kube.Definitions).Namespace(namespace).Get(ctx, "blue", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(definition.Object["spec"]).To(HaveKeyWithValue("config", "two"))
		err = dyn.Resource(kube.Definitions).Namespace(namespace).Delete(ctx, "blue", metav1.DeleteOptions{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "more rights than a daemon needs: %v", err)
	}
	verbs := []string{}
	for _, r := range e.APIRequests() {
		verbs = append(verbs, r.Verb+" "+r.Resource)
	}
	const d = " network-attachment-definitions"
	Expect(verbs).To(Equal([]string{"list pods", "patch pods/status", "get" + d, "delete" + d, "get" + d, "delete" + d}))
}

func apiComesAndGoes(ctx context.Context, e *thick.Env) {
	client, _ := daemonClients(e)
	get := func() error {
		_, err := client.CoreV1().Pods(e.Namespace).List(ctx, metav1.ListOptions{})
		return err
	}
	Expect(get()).To(Succeed())
	for _, away := range []func(){e.ClusterAway, e.ClusterSilent} {
		away()
		Expect(get()).NotTo(Succeed())
		e.Sandbox() // the suite itself is not concerned
		e.ClusterBack()
		Eventually(get).WithContext(ctx).WithTimeout(20 * time.Second).Should(Succeed())
	}
}

func TestWorldInAPIServer(t *testing.T) {
	o := newRun(t, tiny("TINY-01", podsInAPI), tiny("TINY-02", apiComesAndGoes), tiny("TINY-03", apiComesAndGoes))
	r, err := o.judge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cases {
		if c.State != report.Passed {
			t.Errorf("%s: %s %s\n%s", c.ID, c.State, c.Reason, c.Story())
		}
	}
	if left, _ := os.ReadDir(o.WorkDir); len(left) != 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}

func TestWithoutAPIServer(t *testing.T) {
	o := newRun(t, tiny("TINY-01", func(context.Context, *thick.Env) {}))
	t.Setenv(apiserver.AssetsVariable, "/nonexistent")
	r, err := o.judge(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Cases[0]; c.State != report.Skipped || !strings.Contains(c.Reason, "make k8s") {
		t.Errorf("%s: %s", c.State, c.Reason)
	}
}

// TestForeignClusterIsLeftClean uses an API server by its kubeconfig, has one
// case end well, one end by its own fault, and cancels the run during a third.
func TestForeignClusterIsLeftClean(t *testing.T) {
	busy := func(_ context.Context, e *thick.Env) {
		e.Sandbox()
		e.Definition("blue", "{}")
		e.DefinitionIn(e.NewNamespace(), "blue", "{}")
	}
	hang := tiny("TINY-04", func(ctx context.Context, e *thick.Env) {
		busy(ctx, e)
		e.Touch(filepath.Join(filepath.Dir(e.WorkDir()), "busy"))
		select {}
	})
	hang.Slow = -1 // after the others, whose order is by chance
	o := newRun(t,
		tiny("TINY-01", busy),
		tiny("TINY-02", func(ctx context.Context, e *thick.Env) { busy(ctx, e); Expect(e.Dir).To(BeEmpty()) }),
		tiny("TINY-03", func(ctx context.Context, e *thick.Env) { busy(ctx, e); e.APIRequests() }),
		hang,
	)
	assets, err := apiserver.Assets(o.settings.KubernetesAssets)
	if err != nil {
		t.Fatal(err)
	}
	server, err := apiserver.Start(t.Context(), apiserver.Options{Assets: assets, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()
	o.settings.Kubeconfig = writeKubeconfig(t, server.Config)
	o.Parallel = 1
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(done, _ int, _ report.CaseResult) {
		if done == 3 {
			go func() { awaitBusy(t, o.WorkDir); cancel() }()
		}
	}
	// The server has no namespace controller: the run says so in the end.
	defer kube.SetSweepTimeout(3 * time.Second)()
	r, err := o.judge(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "still removes namespaces") {
		t.Errorf("err = %v", err)
	}
	var states []string
	for _, c := range r.Cases {
		states = append(states, string(c.State)+" "+c.Reason)
	}
	NewWithT(t).Expect(states).To(HaveExactElements(Equal("passed "), HavePrefix("failed"), ContainSubstring("leave --kubeconfig out"), Equal("skipped the run was cancelled")))
	expectClean(t, server.Config)
}

func awaitBusy(t *testing.T, work string) {
	g := NewWithT(t)
	g.Eventually(func() []string {
		found, _ := filepath.Glob(filepath.Join(work, "*", "busy"))
		return found
	}).WithTimeout(20 * time.Second).ShouldNot(BeEmpty())
}

func writeKubeconfig(t *testing.T, c *rest.Config) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: c.BearerToken}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// expectClean asserts that nothing of a run is left but namespaces that wait
// for a controller.
func expectClean(t *testing.T, c *rest.Config) {
	t.Helper()
	g := NewWithT(t)
	client, err := kubernetes.NewForConfig(c)
	g.Expect(err).NotTo(HaveOccurred())
	namespaces, err := client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{LabelSelector: kube.LabelRun})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(namespaces.Items).NotTo(BeEmpty())
	for _, n := range namespaces.Items {
		g.Expect(n.DeletionTimestamp).NotTo(BeNil(), n.Name)
	}
	pods, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pods.Items).To(BeEmpty())
	roles, err := client.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{LabelSelector: kube.LabelRun})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(roles.Items).To(BeEmpty())
	bindings, err := client.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{LabelSelector: kube.LabelRun})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(bindings.Items).To(BeEmpty())
	dyn, err := dynamic.NewForConfig(c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() error {
		_, err := dyn.Resource(kube.CRDs).Get(t.Context(), kube.Definitions.Resource+"."+kube.Definitions.Group, metav1.GetOptions{})
		return err
	}).WithTimeout(10 * time.Second).Should(Satisfy(apierrors.IsNotFound))
}
