// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// BoundToken is a token of the daemon's account that ends when a secret goes.
func (w *World) BoundToken(secret string) string {
	ginkgo.GinkgoHelper()
	lifetime := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime,
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: secret}}}
	Expect(Call(func(ctx context.Context) error {
		_, err := w.Client.CoreV1().Secrets(w.Namespace).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}}, metav1.CreateOptions{})
		if err == nil {
			request, err = w.Client.CoreV1().ServiceAccounts(w.Namespace).CreateToken(ctx, w.account, request, metav1.CreateOptions{})
		}
		return err
	})).To(Succeed(), "a token of the daemon's")
	return request.Status.Token
}

// StatusAnnotation is where a pod's network status is (NPWG standard, section 5).
const StatusAnnotation = "k8s.v1.cni.cncf.io/network-status"

// callTimeout bounds what the suite itself does in the API server.
const callTimeout = 20 * time.Second

// World keeps pods and network definitions in an API server. The daemon
// reaches it through a front in the case's own network namespace.
type World struct {
	Access  apiAccess
	Client  kubernetes.Interface
	dynamic dynamic.Interface
	labels  map[string]string
	node    string
	// account is the service account of the case's daemon, in its namespace.
	Namespace, account string
	// Credential is that account's token.
	Credential string
	// role is the ClusterRole of the target's daemons.
	role      string
	Front     *front
	AuditFrom int64
}

// NewWorld makes the case's namespace, and the daemon's credential in a
// kubeconfig.
func NewWorld(kubeconfig, target, id, namespace, node string) *World {
	ginkgo.GinkgoHelper()
	data, err := os.ReadFile(os.Getenv(envKubernetes))
	Expect(err).NotTo(HaveOccurred())
	w := &World{Namespace: namespace, node: node, account: "daemon"}
	Expect(json.Unmarshal(data, &w.Access)).To(Succeed())
	w.role = w.Access.ClusterRoles[target]
	w.labels = map[string]string{labelRun: w.Access.Run, labelCase: id}
	config := &rest.Config{Host: "http://apiserver", QPS: -1, Dial: Dialing(w.Access.Admin)}
	w.Client, err = kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	w.dynamic, err = dynamic.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	if w.Access.Address != "" {
		w.Front = direct(w.Access.Address, w.Access.CA)
	} else {
		w.Front, err = newFront(w.Access.Client)
	}
	Expect(err).NotTo(HaveOccurred())
	if w.Access.AuditLog != "" {
		info, err := os.Stat(w.Access.AuditLog)
		Expect(err).NotTo(HaveOccurred())
		w.AuditFrom = info.Size()
	}
	w.MakeNamespace(namespace)
	w.Credential = w.token()
	Expect(os.WriteFile(kubeconfig, w.Kubeconfig(w.Credential), 0o600)).To(Succeed())
	return w
}

// Call runs a call of the suite's own, within its time.
func Call(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), suite.Patience(callTimeout))
	defer cancel()
	return f(ctx)
}

// MakeNamespace makes a namespace and the service account of its pods.
func (w *World) MakeNamespace(name string) {
	ginkgo.GinkgoHelper()
	Expect(Call(func(ctx context.Context) error {
		_, err := w.Client.CoreV1().Namespaces().Create(ctx,
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: w.labels}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		// Pods need an account that is there at once, not when a controller made it.
		_, err = w.Client.CoreV1().ServiceAccounts(name).Create(ctx,
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: w.account}}, metav1.CreateOptions{})
		return err
	})).To(Succeed(), "a namespace in the API server")
}

// PutDefinition makes or replaces a NetworkAttachmentDefinition.
func (w *World) PutDefinition(namespace, name, config string, annotations map[string]string) {
	ginkgo.GinkgoHelper()
	Expect(Call(func(ctx context.Context) error {
		in := w.dynamic.Resource(definitions).Namespace(namespace)
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
			"metadata": map[string]any{"name": name, "namespace": namespace},
			"spec":     map[string]any{"config": config},
		}}
		object.SetAnnotations(annotations)
		_, err := in.Create(ctx, object, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		old, err := in.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		object.SetResourceVersion(old.GetResourceVersion())
		_, err = in.Update(ctx, object, metav1.UpdateOptions{})
		return err
	})).To(Succeed(), "network definition %s/%s", namespace, name)
}

// DeleteDefinition removes a NetworkAttachmentDefinition.
func (w *World) DeleteDefinition(namespace, name string) {
	ginkgo.GinkgoHelper()
	Expect(Call(func(ctx context.Context) error {
		return w.dynamic.Resource(definitions).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	})).To(Succeed(), "network definition %s/%s", namespace, name)
}

// PutPod makes the pod of a sandbox, or replaces its annotations. The UID is
// the API server's to give: a pod that has another one than the sandbox is
// made anew.
func (w *World) PutPod(s *node.Sandbox, annotations map[string]string) {
	ginkgo.GinkgoHelper()
	Expect(Call(func(ctx context.Context) error {
		pods := w.Client.CoreV1().Pods(s.PodNamespace)
		old, err := pods.Get(ctx, s.PodName, metav1.GetOptions{})
		if err == nil && string(old.UID) == s.PodUID {
			return w.annotate(ctx, s, annotations)
		}
		if err == nil {
			err = w.removePod(ctx, s)
		}
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		made, err := pods.Create(ctx, w.pod(s, annotations), metav1.CreateOptions{})
		if err == nil {
			s.PodUID = string(made.UID)
		}
		return err
	})).To(Succeed(), "pod %s/%s", s.PodNamespace, s.PodName)
}

// annotate gives a pod these annotations, and leaves its status as it is.
func (w *World) annotate(ctx context.Context, s *node.Sandbox, annotations map[string]string) error {
	pods := w.Client.CoreV1().Pods(s.PodNamespace)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		pod, err := pods.Get(ctx, s.PodName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		status, published := pod.Annotations[StatusAnnotation]
		pod.Annotations = map[string]string{}
		for k, v := range annotations {
			pod.Annotations[k] = v
		}
		if published {
			pod.Annotations[StatusAnnotation] = status
		}
		_, err = pods.Update(ctx, pod, metav1.UpdateOptions{})
		return err
	})
}

// pod is a plain object: bound to a node that nobody has, so nobody runs it.
func (w *World) pod(s *node.Sandbox, annotations map[string]string) *corev1.Pod {
	no, atOnce := false, int64(0)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: s.PodName, Namespace: s.PodNamespace, Labels: w.labels, Annotations: annotations},
		Spec: corev1.PodSpec{
			NodeName: w.node, ServiceAccountName: w.account, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &atOnce,
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers:  []corev1.Container{{Name: "never-run", Image: "registry.invalid/never-pulled"}},
		},
	}
}

// MakePod makes the pod of a sandbox with a spec of its own.
func (w *World) MakePod(s *node.Sandbox, annotations map[string]string, change func(*corev1.PodSpec)) {
	ginkgo.GinkgoHelper()
	pod := w.pod(s, annotations)
	change(&pod.Spec)
	Expect(Call(func(ctx context.Context) error {
		made, err := w.Client.CoreV1().Pods(s.PodNamespace).Create(ctx, pod, metav1.CreateOptions{})
		if err == nil {
			s.PodUID = string(made.UID)
		}
		return err
	})).To(Succeed(), "pod %s/%s", s.PodNamespace, s.PodName)
}

// Runs has the sandbox's pod run at an address, as its kubelet says of a pod
// whose sandbox is attached.
func (w *World) Runs(s *node.Sandbox, address string) {
	ginkgo.GinkgoHelper()
	patch := node.MustJSON(map[string]any{"status": map[string]any{"phase": corev1.PodRunning, "podIP": address, "podIPs": []any{map[string]any{"ip": address}}}})
	Expect(Call(func(ctx context.Context) error {
		_, err := w.Client.CoreV1().Pods(s.PodNamespace).Patch(ctx, s.PodName, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	})).To(Succeed(), "the status of pod %s/%s", s.PodNamespace, s.PodName)
}

func (w *World) removePod(ctx context.Context, s *node.Sandbox) error {
	atOnce := int64(0)
	return w.Client.CoreV1().Pods(s.PodNamespace).Delete(ctx, s.PodName, metav1.DeleteOptions{GracePeriodSeconds: &atOnce})
}

// DeletePod removes the sandbox's pod.
func (w *World) DeletePod(s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(Call(func(ctx context.Context) error { return w.removePod(ctx, s) })).To(Succeed(), "pod %s/%s", s.PodNamespace, s.PodName)
}

// Annotations reads those of a sandbox's pod, nil when there is no pod.
func (w *World) Annotations(s *node.Sandbox) map[string]string {
	ginkgo.GinkgoHelper()
	var pod *corev1.Pod
	err := Call(func(ctx context.Context) (err error) {
		pod, err = w.Client.CoreV1().Pods(s.PodNamespace).Get(ctx, s.PodName, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return pod.Annotations
}

// Status returns the published network status of the sandbox's pod, nil when
// there is none.
func (w *World) Status(s *node.Sandbox) []map[string]any {
	ginkgo.GinkgoHelper()
	text := w.Annotations(s)[StatusAnnotation]
	if text == "" {
		return nil
	}
	var networks []map[string]any
	Expect(json.Unmarshal([]byte(text), &networks)).To(Succeed(), "annotation %s: %s", StatusAnnotation, text)
	if len(networks) == 0 {
		return nil
	}
	return networks
}

// Away makes the API server unreachable for the daemon: its connections are
// refused or, when silent, never answered.
func (w *World) Away(silent bool) {
	if silent {
		w.Front.hold()
		return
	}
	w.Front.refuse()
}

// Lag has the daemon told of changes that much later, 0 to end it. Whoever asks
// gets the answer at once.
func (w *World) Lag(d time.Duration) { w.Front.lag.Store(int64(d)) }

// Older has the daemon's API server refuse to stream lists, as those before
// Kubernetes 1.32 do, until it is false.
func (w *World) Older(older bool) { w.Front.older.Store(older) }

// Conflicts answers the daemon's next patches of a status with a conflict, as an
// admission webhook or a server under load does.
func (w *World) Conflicts(next int) { w.Front.conflicts.Store(int64(next)) }

// Back ends Away.
func (w *World) Back() {
	ginkgo.GinkgoHelper()
	Expect(w.Front.restore()).To(Succeed())
}

// SetAnnotation sets one annotation of a sandbox's pod, as another client than
// the daemon does.
func (w *World) SetAnnotation(ctx context.Context, s *node.Sandbox, key, value string) {
	ginkgo.GinkgoHelper()
	patch := node.MustJSON(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
	_, err := w.Client.CoreV1().Pods(s.PodNamespace).Patch(ctx, s.PodName, types.MergePatchType, patch, metav1.PatchOptions{})
	Expect(err).NotTo(HaveOccurred())
}
