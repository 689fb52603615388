// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The networks of the tests. The bridge is joined between the workers; the
// parent of macvlan is the nodes' own interface.
const (
	bridgeStatic  = `{"cniVersion":"1.0.0","name":"joined","type":"bridge","bridge":"` + joinedBridge + `","capabilities":{"ips":true},"ipam":{"type":"static"}}`
	macvlanStatic = `{"cniVersion":"1.0.0","name":"mac","type":"macvlan","master":"eth0","mode":"bridge","capabilities":{"ips":true,"mac":true},"ipam":{"type":"static"}}`
	bridgeLocal   = `{"cniVersion":"1.0.0","name":"local","plugins":[{"type":"bridge","bridge":"br-local","ipam":{"type":"host-local","ranges":[[{"subnet":"10.99.0.0/16"}]]}}]}`
)

var _ = Describe("pods with several networks", func() {
	It("reach each other between workers over bridge and macvlan, at the addresses that they asked for", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		define(ctx, ns, "joined", bridgeStatic)
		define(ctx, ns, "mac", macvlanStatic)
		var pods []*corev1.Pod
		for i, node := range the.workers {
			start(ctx, podOn(node, ns, fmt.Sprintf("p%d", i), with(fmt.Sprintf(`[
				{"name":"joined","interface":"bond","ips":["10.98.0.%[1]d/24"]},
				{"name":"mac","ips":["10.97.0.%[1]d/24"],"mac":"02:00:00:00:00:0%[1]d"}]`, i+1))))
		}
		for i := range the.workers {
			pods = append(pods, running(ctx, ns, fmt.Sprintf("p%d", i)))
		}
		for i, pod := range pods {
			status := statusOf(pod)
			Expect(status).To(HaveLen(3))
			Expect(status[0].Default).To(BeTrue())
			Expect(status[0].IPs).To(ConsistOf(pod.Status.PodIP))
			Expect(attachment(pod, "bond").IPs).To(ConsistOf(fmt.Sprintf("10.98.0.%d", i+1)))
			Expect(attachment(pod, "net2").Mac).To(Equal(fmt.Sprintf("02:00:00:00:00:0%d", i+1)))
		}
		expectPing(ctx, pods[0], "bond", "10.98.0.2")
		expectPing(ctx, pods[1], "net2", "10.97.0.1")
		expectPing(ctx, pods[0], "eth0", pods[1].Status.PodIP)
	})

	It("move their default route, and only theirs, to the network that says so", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		moved := run(ctx, podOn(the.workers[0], ns, "moved", with(`[{"name":"local","default-route":["10.99.0.1"]}]`)))
		kept := run(ctx, podOn(the.workers[0], ns, "kept", with("local")))
		Expect(the.inPod(ctx, moved, "ip", "route", "show", "default")).To(HavePrefix("default via 10.99.0.1 dev net1"))
		Expect(the.inPod(ctx, kept, "ip", "route", "show", "default")).To(ContainSubstring("dev eth0"))
	})

	It("get another default network by annotation", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		define(ctx, ns, "other", bridgeLocal)
		pod := run(ctx, podOn(the.workers[1], ns, "other", map[string]string{defaultNetworkAnnotation: ns + "/other"}))
		Expect(pod.Status.PodIP).To(HavePrefix("10.99."))
		Expect(statusOf(pod)).To(HaveLen(1))
	})

	It("find their definitions by every name that Multus' manifest gives these", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		for _, resource := range []string{"nad", "net-attach-def", "network-attachment-definitions"} {
			Expect(the.kubectl(ctx, "", "get", "-n", ns, resource, "-o", "name")).To(ContainSubstring("/local"), resource)
		}
	})

	It("are held to their own namespace's definitions and the global ones'", func(ctx SpecContext) {
		other := newNamespace(ctx)
		ns := newNamespace(ctx) // the last one is cleaned up first, and has the pods
		define(ctx, other, "private", bridgeLocal)
		start(ctx, podOn(the.workers[0], ns, "intruder", with(other+"/private")))
		Eventually(failures(ns, "intruder")).WithContext(ctx).Should(ContainElement(ContainSubstring("private")))
		define(ctx, "default", "e2e-shared", bridgeLocal)
		DeferCleanup(func(ctx SpecContext) {
			_, err := the.kubectl(ctx, "", "delete", "-n", "default", "network-attachment-definitions", "e2e-shared")
			Expect(err).NotTo(HaveOccurred())
		})
		guest := run(ctx, podOn(the.workers[0], ns, "guest", with("default/e2e-shared")))
		Expect(statusOf(guest)).To(HaveLen(2))
	})

	It("see their network-status through the downward API", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		pod := podOn(the.workers[0], ns, "reader", with("local"))
		pod.Spec.Volumes = []corev1.Volume{{Name: "podinfo", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items: []corev1.DownwardAPIVolumeFile{{Path: "networks", FieldRef: &corev1.ObjectFieldSelector{
				FieldPath: "metadata.annotations['" + statusAnnotation + "']"}}}}}}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "podinfo", MountPath: "/podinfo"}}
		pod = run(ctx, pod)
		Expect(statusOf(pod)).To(HaveLen(2))
		Eventually(func() (string, error) { return the.inPod(ctx, pod, "cat", "/podinfo/networks") }).WithContext(ctx).
			Should(MatchJSON(pod.Annotations[statusAnnotation]))
	})

	It("get them as static pods of a kubelet too", func(ctx SpecContext) {
		before, node := countAll(ctx), the.workers[0]
		define(ctx, "default", "e2e-static", bridgeLocal)
		data, err := yaml.Marshal(podOn("", "default", "e2e-static", with("e2e-static")))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) {
			the.do(ctx, node, "rm -f /etc/kubernetes/manifests/e2e.yaml")
			expectNoLeaks(ctx, before)
			_, err := the.kubectl(ctx, "", "delete", "-n", "default", "network-attachment-definitions", "e2e-static")
			Expect(err).NotTo(HaveOccurred())
		})
		the.do(ctx, node, "cat >/etc/kubernetes/manifests/e2e.yaml <<'END'\n"+string(data)+"\nEND")
		pod := running(ctx, "default", "e2e-static-"+node)
		Expect(the.inPod(ctx, pod, "ip", "-4", "address", "show", "net1")).To(ContainSubstring("10.99."))
		Eventually(func() string { return running(ctx, "default", pod.Name).Annotations[statusAnnotation] }).WithContext(ctx).
			Should(ContainSubstring("net1"))
	})
})

var _ = Describe("a node", func() {
	It("is NotReady while its default network's configuration is missing, and Ready when it is back", func(ctx SpecContext) {
		node := the.workers[1]
		DeferCleanup(func(ctx SpecContext) {
			the.do(ctx, node, "cd /etc/cni/net.d; [ ! -e /root/aside ] || mv /root/aside 10-thicket.conflist")
			the.awaitNode(ctx, node, corev1.ConditionTrue)
			the.awaitDaemons(ctx)
		})
		the.do(ctx, node, "mv /etc/cni/net.d/10-thicket.conflist /root/aside")
		the.awaitNode(ctx, node, corev1.ConditionFalse)
		Expect(the.do(ctx, node, "ls /etc/cni/net.d")).To(Equal("00-multus.conf"))
		the.do(ctx, node, "mv /root/aside /etc/cni/net.d/10-thicket.conflist")
		the.awaitNode(ctx, node, corev1.ConditionTrue)
	})
})

// failures are the messages of a pod's warnings.
func failures(namespace, pod string) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		events, err := the.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning,involvedObject.name=" + pod})
		if err != nil {
			return nil, err
		}
		var messages []string
		for _, e := range events.Items {
			messages = append(messages, strings.TrimSpace(e.Reason+" "+e.Message))
		}
		return messages, nil
	}
}
