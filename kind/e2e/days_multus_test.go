// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// multusVariable names the directory of multus-daemon and multus-shim.
const multusVariable = "MULTUS_BIN"

const (
	multusDaemonSet = "kube-multus-ds"
	multusImage     = "docker.io/library/multus:e2e"
)

// The way of kind/README.md from Multus to Thicket, with pods that run.
var _ = Describe("a day", Serial, func() {
	It("on which Multus is replaced", func(ctx SpecContext) {
		binaries := os.Getenv(multusVariable)
		if binaries == "" {
			Skip(fmt.Sprintf("%s is not set: it names a directory with multus-daemon and multus-shim, static builds of yours", multusVariable))
		}
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		image := the.daemonImage(ctx)
		DeferCleanup(func(ctx SpecContext) {
			removeMultus(ctx)
			installThicket(ctx, image)
		})
		loadMultus(ctx, binaries)

		By("Multus, and pods with two networks")
		removeThicket(ctx)
		the.apply(ctx, multusManifest)
		awaitMultus(ctx)
		names := startMany(ctx, ns, 8)
		for _, name := range names {
			Expect(statusOf(running(ctx, ns, name))).To(HaveLen(2), name)
		}
		kept := 0
		for _, node := range the.workers {
			kept += cachedByMultus(ctx, node)
		}
		Expect(kept).To(Equal(len(names)), "sandboxes in Multus' cache")

		By("Thicket in its place: nothing changes for the pods")
		removeMultus(ctx)
		installThicket(ctx, image)
		first, last := running(ctx, ns, names[0]), running(ctx, ns, names[len(names)-1])
		expectPing(ctx, first, "eth0", last.Status.PodIP)

		By("half of them go, others come")
		for _, name := range names[:len(names)/2] {
			Expect(the.CoreV1().Pods(ns).Delete(ctx, name, metav1.DeleteOptions{})).To(Succeed())
		}
		late := run(ctx, podOn(the.workers[0], ns, "late", with("local")))
		Expect(statusOf(late)).To(HaveLen(2))

		By("all go")
		Expect(the.CoreV1().Pods(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})).To(Succeed())
		awaitNoPods(ctx, ns)
		for _, node := range the.workers {
			Eventually(func() int { return cachedByMultus(ctx, node) }).WithContext(ctx).Should(BeZero(), "sandboxes in Multus' cache on %s", node)
		}
		fmt.Printf("Multus replaced: %d sandboxes of its were deleted from its cache\n", kept)
	})
})

// daemonImage is the image that the nodes run.
func (c *cluster) daemonImage(ctx context.Context) string {
	GinkgoHelper()
	set, err := c.AppsV1().DaemonSets(daemonNamespace).Get(ctx, daemonSet, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	return set.Spec.Template.Spec.Containers[0].Image
}

// removeThicket takes the daemon away, and waits until its pods have ended.
func removeThicket(ctx context.Context) {
	GinkgoHelper()
	_, err := the.kubectl(ctx, "", "delete", "-n", daemonNamespace, "daemonset", daemonSet)
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() int { return len(the.daemons(ctx)) }).WithContext(ctx).Should(BeZero())
}

// installThicket applies the manifests, as make kind-up does.
func installThicket(ctx context.Context, image string) {
	GinkgoHelper()
	manifests, err := the.kubectl(ctx, "", "kustomize", repository("kind/manifests/kind"))
	Expect(err).NotTo(HaveOccurred())
	the.apply(ctx, strings.ReplaceAll(manifests, "docker.io/library/thicket:dev", image))
	the.awaitDaemons(ctx)
	for _, node := range the.workers {
		the.awaitNode(ctx, node, "True")
		Expect(the.do(ctx, node, "cat /etc/cni/net.d/00-multus.conf")).To(ContainSubstring("thicket-shim"))
	}
}

// loadMultus gives the nodes Multus' shim, and an image of its daemon.
func loadMultus(ctx context.Context, binaries string) {
	GinkgoHelper()
	archive := filepath.Join(GinkgoT().TempDir(), "multus.tar")
	_, err := command(ctx, "", repository("bin/tools/image"), "--output", archive, "--name", multusImage, "--entrypoint", "/multus-daemon",
		"--link", "/var/run=/run", filepath.Join(binaries, "multus-daemon")+"=/multus-daemon")
	Expect(err).NotTo(HaveOccurred())
	nodes, err := the.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	Expect(err).NotTo(HaveOccurred())
	for _, n := range nodes.Items {
		for _, copied := range [][]string{
			{"docker", "cp", archive, n.Name + ":/root/multus.tar"},
			{"docker", "cp", filepath.Join(binaries, "multus-shim"), n.Name + ":/opt/cni/bin/multus-shim"},
		} {
			_, err := command(ctx, "", copied...)
			Expect(err).NotTo(HaveOccurred())
		}
		the.do(ctx, n.Name, "ctr --namespace k8s.io images import /root/multus.tar 2>&1; rm /root/multus.tar; chmod 755 /opt/cni/bin/multus-shim")
	}
}

// awaitMultus returns when it serves on both workers, and the runtime uses it.
func awaitMultus(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		set, err := the.AppsV1().DaemonSets(daemonNamespace).Get(ctx, multusDaemonSet, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(set.Status.DesiredNumberScheduled).To(BeNumerically(">=", len(the.workers)))
		g.Expect(set.Status.NumberReady).To(Equal(set.Status.DesiredNumberScheduled))
	}).WithContext(ctx).Should(Succeed())
	for _, node := range the.workers {
		Eventually(func() (string, error) {
			return the.onNode(ctx, node, "cat /etc/cni/net.d/00-multus.conf && test -S /run/multus/multus.sock")
		}).WithContext(ctx).Should(ContainSubstring("multus-shim"), node)
		the.awaitNode(ctx, node, "True")
	}
}

// removeMultus takes away what multusManifest made, if it is there.
func removeMultus(ctx context.Context) {
	GinkgoHelper()
	_, err := the.kubectl(ctx, multusManifest, "delete", "--ignore-not-found", "--wait", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() (int, error) {
		pods, err := the.CoreV1().Pods(daemonNamespace).List(ctx, metav1.ListOptions{LabelSelector: "name=multus"})
		return len(pods.Items), err
	}).WithContext(ctx).Should(BeZero())
}

// cachedByMultus counts the sandboxes that Multus has a record of: files named
// by the container in the directory that both share.
func cachedByMultus(ctx context.Context, node string) int {
	GinkgoHelper()
	var n int
	_, err := fmt.Sscan(the.do(ctx, node, "find /var/lib/cni/multus -maxdepth 1 -type f -regextype posix-extended -regex '.*/[0-9a-f]{64}' | wc -l"), &n)
	Expect(err).NotTo(HaveOccurred())
	return n
}

// multusManifest is a deployment of the thick plugin for these nodes: what its
// daemon needs to reach, at the paths that its configuration names.
const multusManifest = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: multus, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: multus}
rules:
- {apiGroups: [k8s.cni.cncf.io], resources: [network-attachment-definitions], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [pods, pods/status], verbs: [get, list, watch, update]}
- {apiGroups: ["", events.k8s.io], resources: [events], verbs: [create, patch, update]}
- {apiGroups: [resource.k8s.io], resources: [resourceclaims, resourceslices], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: multus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: multus}
subjects: [{kind: ServiceAccount, name: multus, namespace: kube-system}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: multus-daemon-config, namespace: kube-system}
data:
  daemon-config.json: |
    {"chrootDir": "/hostroot", "cniVersion": "0.3.1", "logLevel": "verbose", "logToStderr": true, "multusConfigFile": "auto",
     "cniConfigDir": "/host/etc/cni/net.d", "multusAutoconfigDir": "/host/etc/cni/net.d", "socketDir": "/host/run/multus/"}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-multus-ds, namespace: kube-system}
spec:
  selector: {matchLabels: {name: multus}}
  template:
    metadata: {labels: {name: multus}}
    spec:
      hostNetwork: true
      hostPID: true
      serviceAccountName: multus
      tolerations: [{operator: Exists}]
      terminationGracePeriodSeconds: 30
      containers:
      - name: kube-multus
        image: docker.io/library/multus:e2e
        imagePullPolicy: Never
        command: [/multus-daemon, -config, /etc/multus/daemon-config.json]
        securityContext: {privileged: true}
        env:
        - {name: MULTUS_NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        - {name: PATH, value: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        # An image of nothing but the daemon has no /etc/passwd to say who root is.
        - {name: USER, value: root}
        - {name: HOME, value: /root}
        - {name: KUBERNETES_SERVICE_HOST, value: thicket-control-plane}
        - {name: KUBERNETES_SERVICE_PORT, value: "6443"}
        volumeMounts:
        - {name: config, mountPath: /etc/multus, readOnly: true}
        - {name: conf, mountPath: /host/etc/cni/net.d}
        - {name: plugins, mountPath: /opt/cni/bin}
        - {name: run, mountPath: /host/run}
        - {name: cache, mountPath: /var/lib/cni/multus}
        - {name: netns, mountPath: /run/netns, mountPropagation: HostToContainer}
        - {name: device-info, mountPath: /run/k8s.cni.cncf.io}
        - {name: hostroot, mountPath: /hostroot, mountPropagation: HostToContainer}
      volumes:
      - {name: config, configMap: {name: multus-daemon-config}}
      - {name: conf, hostPath: {path: /etc/cni/net.d}}
      - {name: plugins, hostPath: {path: /opt/cni/bin}}
      - {name: run, hostPath: {path: /run}}
      - {name: cache, hostPath: {path: /var/lib/cni/multus}}
      - {name: netns, hostPath: {path: /run/netns}}
      - {name: device-info, hostPath: {path: /run/k8s.cni.cncf.io}}
      - {name: hostroot, hostPath: {path: /}}
`
