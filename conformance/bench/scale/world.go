// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/thicket-cni/thicket/conformance/apiserver"
	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/fakes/hollow"
)

var definitions = schema.GroupVersionResource{Group: "k8s.cni.cncf.io", Version: "v1", Resource: "network-attachment-definitions"}

const (
	// namespace has all that is made, and the daemons' account.
	namespace = "scale"
	account   = "daemon"
	// definitionCount is how many definitions the cluster has.
	definitionCount = 100
	// residentPods is how many pods each node has before anything is measured.
	residentPods = 2
	// makers is how many objects are made at once.
	makers = 8
)

// world is an API server of a trial's own with what is in it.
type world struct {
	dir     string
	server  *apiserver.Server
	client  kubernetes.Interface
	dynamic dynamic.Interface
}

// newWorld starts an API server, as it is in a cluster: with priority and fairness.
func newWorld(ctx context.Context, o *Options) (w *world, err error) {
	assets, err := apiserver.Assets(o.Assets)
	if err != nil {
		return nil, err
	}
	w = &world{}
	if w.dir, err = os.MkdirTemp(o.WorkDir, "scale-"); err != nil {
		return nil, err
	}
	w.server, err = apiserver.Start(ctx, apiserver.Options{Assets: assets, Dir: w.dir,
		Args: []string{"--enable-priority-and-fairness=true", "--profiling=true"}})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(w.dir))
	}
	if w.client, err = kubernetes.NewForConfig(w.server.Config); err == nil {
		w.dynamic, err = dynamic.NewForConfig(w.server.Config)
	}
	if err == nil {
		err = w.furnish(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) close() error { return errors.Join(w.server.Stop(), os.RemoveAll(w.dir)) }

// furnish makes the daemons' account with the rights of both kinds of daemons, and the
// definitions.
func (w *world) furnish(ctx context.Context) error {
	if err := kube.InstallDefinitions(ctx, w.dynamic); err != nil {
		return err
	}
	options := metav1.CreateOptions{}
	about := metav1.ObjectMeta{Name: account}
	role, err := kube.RoleOf(kube.Daemon{})
	if err != nil {
		return err
	}
	role.ObjectMeta = about
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/status"}, Verbs: []string{"update"}})
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: about,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace}}}
	for _, create := range []func() error{
		func() error {
			_, err := w.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, options)
			return err
		},
		func() error {
			_, err := w.client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: about}, options)
			return err
		},
		func() error { _, err := w.client.RbacV1().ClusterRoles().Create(ctx, role, options); return err },
		func() error {
			_, err := w.client.RbacV1().ClusterRoleBindings().Create(ctx, binding, options)
			return err
		},
	} {
		if err := create(); err != nil {
			return err
		}
	}
	return each(definitionCount, func(i int) error {
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
			"metadata": map[string]any{"name": definitionName(i), "namespace": namespace},
			"spec":     map[string]any{"config": configOf(i, 0)},
		}}
		_, err := w.dynamic.Resource(definitions).Namespace(namespace).Create(ctx, object, options)
		return err
	})
}

func definitionName(i int) string { return fmt.Sprintf("net-%03d", i) }

// configOf is a definition's configuration, another one for each revision.
func configOf(i, revision int) string {
	return fmt.Sprintf(`{"cniVersion":"1.0.0","name":"net-%03d","plugins":[{"type":"macvlan","master":"eth1","mode":"bridge","mtu":%d,`+
		`"ipam":{"type":"host-local","ranges":[[{"subnet":"10.%d.2.0/24","gateway":"10.%d.2.1"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`, i, 1400+revision, i, i)
}

// change changes a definition and returns what it is now.
func (w *world) change(ctx context.Context, i, revision int) (hollow.Definition, func() error) {
	d := hollow.Definition{Namespace: namespace, Name: definitionName(i), Config: configOf(i, revision)}
	return d, func() error {
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"config": d.Config}})
		if err == nil {
			_, err = w.dynamic.Resource(definitions).Namespace(namespace).Patch(ctx, d.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		}
		return err
	}
}

// identities are the nodes, each with a token of its own, as each pod of a DaemonSet has.
func (w *world) identities(ctx context.Context, nodes int) ([]hollow.Identity, error) {
	all := make([]hollow.Identity, nodes)
	lifetime := int64(3 * 3600)
	err := each(nodes, func(i int) error {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}
		answer, err := w.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		all[i] = hollow.Identity{Name: nodeName(i), Token: answer.Status.Token}
		return nil
	})
	return all, err
}

func nodeName(i int) string { return fmt.Sprintf("hollow-%04d", i) }

// pods makes one pod for each of the nodes.
func (w *world) pods(ctx context.Context, purpose string, nodes ...int) ([]hollow.Pod, error) {
	all := make([]hollow.Pod, len(nodes))
	err := each(len(nodes), func(i int) error {
		pod := podFor(nodeName(nodes[i]), fmt.Sprintf("%s-%04d", purpose, nodes[i]))
		made, err := w.client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		all[i] = hollow.Pod{Node: nodeName(nodes[i]), Namespace: namespace, Name: made.Name, UID: string(made.UID),
			Networks: []string{definitionName(0), definitionName(1)}}
		return nil
	})
	return all, err
}

// podFor is a pod as a Deployment makes it, bound to its node. What is not about
// networks is what makes it large.
func podFor(node, name string) *corev1.Pod {
	no := false
	container := func(name string) corev1.Container {
		c := corev1.Container{Name: name, Image: "registry.invalid/team/application:1.2.3", Args: []string{"serve", "--listen=:8080", "--log-format=json"},
			ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/healthy"}}}, PeriodSeconds: 10}}
		for i := range 8 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_NUMBER_%d", i), Value: "a value of the usual length"})
		}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/var/lib/application"}, {Name: "cache", MountPath: "/var/cache/application"}}
		return c
	}
	volume := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace,
			Labels:      map[string]string{"app.kubernetes.io/name": "application", "app.kubernetes.io/instance": name, "pod-template-hash": "5d8f9c7b6"},
			Annotations: map[string]string{"k8s.v1.cni.cncf.io/networks": definitionName(0) + "," + definitionName(1)}},
		Spec: corev1.PodSpec{
			NodeName: node, ServiceAccountName: account, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			Containers: []corev1.Container{container("application"), container("sidecar")},
			Volumes:    []corev1.Volume{volume("data"), volume("cache")},
		},
	}
}

// collect has kube-apiserver collect its garbage, so that what is in use is known.
func (w *world) collect(ctx context.Context) error {
	_, err := w.client.CoreV1().RESTClient().Get().AbsPath("/debug/pprof/heap").Param("gc", "1").DoRaw(ctx)
	return err
}

func (w *world) counts(ctx context.Context) (counts, error) {
	text, err := w.client.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return counts{}, err
	}
	return parseCounts(text)
}

// memory is kube-apiserver's: resident as it is, in use after a collection.
func (w *world) memory(ctx context.Context) (m Memory, err error) {
	_, api := w.server.PIDs()
	if m.Resident, err = resident(api); err != nil {
		return m, err
	}
	if err = w.collect(ctx); err != nil {
		return m, err
	}
	c, err := w.counts(ctx)
	m.Live = mib(c.live)
	return m, err
}

// each calls do for 0 to n-1, some at once, and returns the first error.
func each(n int, do func(i int) error) error {
	var calls errgroup.Group
	calls.SetLimit(makers)
	for i := range n {
		calls.Go(func() error { return do(i) })
	}
	return calls.Wait()
}
