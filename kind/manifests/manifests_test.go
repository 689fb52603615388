// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/thicket-cni/thicket/pkg/daemon"
)

// objects reads the documents of a manifest that are of T's kind; a field that
// T does not have is an error, because a cluster would drop it silently.
func objects[T any](t *testing.T, file, kind string) []T {
	t.Helper()
	g := NewWithT(t)
	data, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	var all []T
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		g.Expect(err).NotTo(HaveOccurred())
		var of struct{ Kind string }
		g.Expect(k8syaml.Unmarshal(document, &of)).To(Succeed())
		if of.Kind == kind {
			var object T
			g.Expect(k8syaml.UnmarshalStrict(document, &object)).To(Succeed(), file)
			all = append(all, object)
		}
	}
}

func one[T any](t *testing.T, file, kind string) T {
	t.Helper()
	all := objects[T](t, file, kind)
	NewWithT(t).Expect(all).To(HaveLen(1), file)
	return all[0]
}

// TestRights: the suite judges daemons with the rights that a node's daemon
// has, and with no others; a case that passes with more would say nothing.
func TestRights(t *testing.T) {
	g := NewWithT(t)
	deployed := one[rbacv1.ClusterRole](t, "base/rbac.yaml", "ClusterRole")
	judged := one[rbacv1.ClusterRole](t, "../../conformance/kube/clusterrole.yaml", "ClusterRole")
	g.Expect(deployed.Rules).To(Equal(judged.Rules))
	certificate := one[rbacv1.ClusterRole](t, "per-node-certificate/rbac.yaml", "ClusterRole")
	for _, rule := range slices.Concat(deployed.Rules, certificate.Rules) {
		for _, words := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
			g.Expect(words).NotTo(ContainElement(ContainSubstring("*")), "%v", rule)
		}
		g.Expect(rule.Verbs).NotTo(ContainElement(BeElementOf("delete", "deletecollection", "escalate", "bind", "impersonate", "approve")))
	}
}

// TestApprover: the approver may decide on requests of one signer and do nothing
// else, and starts where no pod network is yet.
func TestApprover(t *testing.T) {
	g := NewWithT(t)
	const file = "per-node-certificate/approver.yaml"
	role := one[rbacv1.ClusterRole](t, file, "ClusterRole")
	for _, rule := range role.Rules {
		g.Expect(rule.APIGroups).To(Equal([]string{"certificates.k8s.io"}))
		g.Expect(slices.Concat(rule.Resources, rule.Verbs)).NotTo(ContainElement(ContainSubstring("*")), "%v", rule)
		if slices.Contains(rule.Verbs, "approve") {
			g.Expect(rule.ResourceNames).To(Equal([]string{"kubernetes.io/kube-apiserver-client"}))
		}
	}
	pod := one[appsv1.Deployment](t, file, "Deployment").Spec.Template.Spec
	g.Expect(pod.HostNetwork).To(BeTrue())
	g.Expect(pod.Containers).To(HaveLen(1))
	g.Expect(pod.Containers[0].Image).To(Equal("thicket"), "overlays name the image by this name")
	g.Expect(pod.Containers[0].Command).To(Equal([]string{"/thicketd", "approve"}))
	g.Expect(pod.ServiceAccountName).To(Equal(one[corev1.ServiceAccount](t, file, "ServiceAccount").Name))
}

// TestDefinitions: the cluster's definitions are those that the suite makes.
func TestDefinitions(t *testing.T) {
	g := NewWithT(t)
	deployed, err := os.ReadFile("base/definitions.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	judged, err := os.ReadFile("../../conformance/kube/definitions.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(deployed)).To(Equal(string(judged)))
}

// TestDefinitionNames: the definitions answer to every name that Multus' own
// manifest gives them. Applying ours to a cluster that comes from Multus takes
// away each short name that is missing here, and breaks the scripts that use it.
func TestDefinitionNames(t *testing.T) {
	g := NewWithT(t)
	data, err := os.ReadFile("base/definitions.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	var definition struct {
		Spec struct{ Names struct{ ShortNames []string } }
	}
	g.Expect(k8syaml.Unmarshal(data, &definition)).To(Succeed())
	g.Expect(definition.Spec.Names.ShortNames).To(ConsistOf("nad", "net-attach-def"))
}

// TestConfigurations: each overlay's configuration is one that the daemon
// takes without a warning, and fits the pod that it is mounted into.
func TestConfigurations(t *testing.T) {
	g := NewWithT(t)
	pod := one[appsv1.DaemonSet](t, "base/daemonset.yaml", "DaemonSet").Spec.Template.Spec
	files, err := filepath.Glob("*/daemon-config.json")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(HaveLen(4))
	for _, file := range files {
		data, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		config, warnings, err := daemon.ParseConfig(data, file)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(warnings).To(BeEmpty())
		grace := time.Duration(config.GracePeriod)
		g.Expect(time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second).To(BeNumerically(">=", grace+30*time.Second),
			"%s: SIGKILL would come before the rollback of what gracePeriod cut off", file)
		main := pod.Containers[0]
		for _, probe := range []*corev1.Probe{main.StartupProbe, main.ReadinessProbe, main.LivenessProbe} {
			g.Expect(probe.HTTPGet.Port.IntValue()).To(Equal(config.ProbePort), file)
			g.Expect(probe.HTTPGet.Host).To(Equal("127.0.0.1"), file)
		}
		g.Expect(config.ProbeAddress).To(Equal("127.0.0.1"), file)
		if filepath.Dir(file) == "metrics" {
			g.Expect(config.MetricsPort).To(Equal(9092), "%s: the overlay's annotations name another port", file)
		} else {
			g.Expect(config.MetricsPort).To(BeZero(), "%s: a port that nobody has asked for", file)
		}
		g.Expect(config.EnablePprof).To(BeFalse(), file)
		root := slices.IndexFunc(main.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == config.ChrootDir })
		g.Expect(root).NotTo(Equal(-1), "%s: chrootDir is not mounted", file)
		g.Expect(main.VolumeMounts[root].MountPropagation).To(HaveValue(Equal(corev1.MountPropagationHostToContainer)))
		for _, dir := range []string{config.SocketDir, config.CNIDir, config.CNIConfigDir, config.ConfDir} {
			g.Expect(dir).To(HavePrefix(config.ChrootDir+"/"), "%s: this directory would go with the pod", file)
		}
	}
}

// TestDaemonSet: what keeps a node's pods startable while it is short of memory
// or is being upgraded.
func TestDaemonSet(t *testing.T) {
	g := NewWithT(t)
	set := one[appsv1.DaemonSet](t, "base/daemonset.yaml", "DaemonSet")
	g.Expect(set.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable.IntValue()).To(Equal(1))
	pod := set.Spec.Template.Spec
	g.Expect(pod.PriorityClassName).To(Equal("system-node-critical"))
	g.Expect(pod.HostNetwork).To(BeTrue())
	g.Expect(pod.HostPID).To(BeTrue(), "plugins below chrootDir find themselves in the host's /proc")
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		g.Expect(c.Resources.Limits).To(Equal(c.Resources.Requests), "%s is not Guaranteed", c.Name)
		g.Expect(c.Resources.Limits).To(HaveKey(corev1.ResourceCPU), c.Name)
		g.Expect(c.Resources.Limits.Memory().String()).To(Equal("50Mi"), c.Name)
		g.Expect(c.Image).To(Equal("thicket"), "overlays name the image by this name")
	}
	g.Expect(pod.InitContainers[0].Command).To(Equal([]string{"/thicketd", "install", "--dest", "/host/opt/cni/bin"}))
	for _, v := range pod.Volumes {
		g.Expect(v.EmptyDir).To(BeNil(), "%s goes with the pod", v.Name)
	}
}

// TestUninstall: the overlay cleans the directories that the daemon and its
// installer write to.
func TestUninstall(t *testing.T) {
	g := NewWithT(t)
	data, err := os.ReadFile("uninstall/daemonset.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	var cleaning, daemons appsv1.DaemonSet
	g.Expect(k8syaml.UnmarshalStrict(data, &cleaning)).To(Succeed()) // it has anchors
	daemons = one[appsv1.DaemonSet](t, "base/daemonset.yaml", "DaemonSet")
	install, pod := daemons.Spec.Template.Spec.InitContainers[0], cleaning.Spec.Template.Spec
	g.Expect(install.Command[1:]).To(Equal([]string{"install", "--dest", "/host/opt/cni/bin"}))
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		g.Expect(c.Image).To(Equal(install.Image))
		g.Expect(c.Command).To(ContainElements("uninstall", "--dest", "/host/opt/cni/bin", "--conf-dir", "/host/etc/cni/net.d"))
		g.Expect(c.VolumeMounts).To(ContainElement(install.VolumeMounts[0]))
	}
	g.Expect(pod.Volumes[1].HostPath.Path).To(Equal("/etc/cni/net.d"))
	g.Expect(pod.HostNetwork).To(BeTrue())
}
