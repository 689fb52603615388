// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Where the daemon is, and the bridge that the workers' uplinks join.
const (
	daemonNamespace = "kube-system"
	daemonSet       = "thicket"
	daemonSelector  = "app.kubernetes.io/name=thicket"
	joinedBridge    = "br-e2e"
)

// cluster is the one under test: its API, and its nodes, which are containers
// of an engine on this machine.
type cluster struct {
	kubernetes.Interface
	kubeconfig string
	workers    []string
	// address of each worker.
	address map[string]string
}

func connect(ctx context.Context, kubeconfig string) *cluster {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	c := &cluster{Interface: client, kubeconfig: kubeconfig, address: map[string]string{}}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "!node-role.kubernetes.io/control-plane"})
	Expect(err).NotTo(HaveOccurred())
	for _, n := range nodes.Items {
		c.workers = append(c.workers, n.Name)
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				c.address[n.Name] = a.Address
			}
		}
	}
	Expect(c.workers).To(HaveLen(2), "the tests are written for two workers")
	return c
}

// command runs a program to its end; its error has what the program printed.
func command(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s%s", strings.Join(args, " "), err, errors.String(), out.String())
	}
	return out.String(), nil
}

// kubectl is that of make kind-up.
func (c *cluster) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return command(ctx, stdin, append([]string{repository("bin/node/kubectl"), "--kubeconfig", c.kubeconfig}, args...)...)
}

// apply makes objects of YAML.
func (c *cluster) apply(ctx context.Context, manifest string) {
	GinkgoHelper()
	_, err := c.kubectl(ctx, manifest, "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
}

// onNode runs a script on a node, as root.
func (c *cluster) onNode(ctx context.Context, node, script string) (string, error) {
	return command(ctx, script, "docker", "exec", "-i", node, "bash", "-eu", "-o", "pipefail")
}

// do is onNode for what has to succeed.
func (c *cluster) do(ctx context.Context, node, script string) string {
	GinkgoHelper()
	out, err := c.onNode(ctx, node, script)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(out)
}

// inPod runs a program in a pod.
func (c *cluster) inPod(ctx context.Context, p *corev1.Pod, args ...string) (string, error) {
	return c.kubectl(ctx, "", append([]string{"exec", "-n", p.Namespace, p.Name, "--"}, args...)...)
}

// repository is a path below the project's root.
func repository(path string) string {
	GinkgoHelper()
	absolute, err := filepath.Abs(filepath.Join("..", "..", path))
	Expect(err).NotTo(HaveOccurred())
	return absolute
}

// joinUplinks gives a worker the bridge of the joined networks, and its uplink:
// a tunnel to the other worker.
func (c *cluster) joinUplinks(ctx context.Context, node string) {
	GinkgoHelper()
	var other string
	for _, w := range c.workers {
		if w != node {
			other = c.address[w]
		}
	}
	c.do(ctx, node, fmt.Sprintf(`
		ip link show %[1]s >/dev/null 2>&1 || ip link add %[1]s type bridge
		ip link show vx-e2e >/dev/null 2>&1 || ip link add vx-e2e type vxlan id 66 dstport 4789 local %[2]s remote %[3]s
		ip link set vx-e2e master %[1]s up
		ip link set %[1]s up
	`, joinedBridge, c.address[node], other))
}

// awaitDaemons returns when every node's daemon is the current one, and ready.
func (c *cluster) awaitDaemons(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		set, err := c.AppsV1().DaemonSets(daemonNamespace).Get(ctx, daemonSet, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(set.Status.ObservedGeneration).To(Equal(set.Generation))
		g.Expect(set.Status.DesiredNumberScheduled).To(BeNumerically(">=", len(c.workers)))
		g.Expect(set.Status.UpdatedNumberScheduled).To(Equal(set.Status.DesiredNumberScheduled))
		g.Expect(set.Status.NumberReady).To(Equal(set.Status.DesiredNumberScheduled))
		g.Expect(set.Status.NumberUnavailable).To(BeZero())
	}).WithContext(ctx).Should(Succeed())
}

// daemons are the daemon's pods, by node.
func (c *cluster) daemons(ctx context.Context) map[string]corev1.Pod {
	GinkgoHelper()
	list, err := c.CoreV1().Pods(daemonNamespace).List(ctx, metav1.ListOptions{LabelSelector: daemonSelector})
	Expect(err).NotTo(HaveOccurred())
	pods := map[string]corev1.Pod{}
	for _, p := range list.Items {
		pods[p.Spec.NodeName] = p
	}
	return pods
}

// patchDaemonSet applies a merge patch.
func (c *cluster) patchDaemonSet(ctx context.Context, patch string) *appsv1.DaemonSet {
	GinkgoHelper()
	set, err := c.AppsV1().DaemonSets(daemonNamespace).Patch(ctx, daemonSet, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	Expect(err).NotTo(HaveOccurred())
	return set
}

// awaitNode returns when a node is Ready, or is not.
func (c *cluster) awaitNode(ctx context.Context, name string, ready corev1.ConditionStatus) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		node, err := c.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				g.Expect(condition.Status).To(Equal(ready), condition.Message)
			}
		}
	}).WithContext(ctx).Should(Succeed())
}
