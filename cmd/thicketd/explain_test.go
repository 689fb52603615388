// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/thicket-cni/thicket/conformance/apiserver"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

const explainedManifests = `apiVersion: v1
kind: Pod
metadata:
  name: good
  namespace: shop
  uid: 0-1
  annotations:
    k8s.v1.cni.cncf.io/networks: '[{"name": "blue", "ips": ["10.1.0.5/24"], "interface": "up1", "cni-args": {"apiToken": "s3cret"}}]'
---
apiVersion: v1
kind: Pod
metadata:
  name: bad
  namespace: shop
  annotations:
    k8s.v1.cni.cncf.io/networks: blue, missing, red
---
apiVersion: v1
kind: Pod
metadata:
  name: early
  namespace: shop
  annotations:
    k8s.v1.cni.cncf.io/networks: red
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: blue, namespace: shop}
spec:
  config: '{"cniVersion": "1.0.0", "name": "blue", "plugins": [{"type": "macvlan", "password": "s3cret", "url": "https://me:s3cret@10.0.0.1/", "capabilities": {"ips": true}, "ipam": {"type": "static", "credentials": [{"key": "s3cret"}]}}]}'
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: red, namespace: shop}
spec:
  config: '{"cniVersion": "1.7.0", "name": "red", "type": "sriov"}'
`

// explainedNode makes the directories of a node, with manifests in one of them,
// and returns it with the daemon's configuration.
func explainedNode(t *testing.T, cluster string) (dir, config string) {
	t.Helper()
	g := NewWithT(t)
	dir = t.TempDir()
	for path, text := range map[string]string{
		"plugins/bridge": "#!/bin/sh\n", "plugins/macvlan": "#!/bin/sh\n", "plugins/static": "#!/bin/sh\n",
		"net.d/10-main.conflist": `{"cniVersion":"1.0.0","name":"main","plugins":[{"type":"bridge"}]}`,
		"cluster/all.yaml":       explainedManifests,
	} {
		g.Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700)).To(Succeed())
		g.Expect(os.WriteFile(filepath.Join(dir, path), []byte(text), 0o700)).To(Succeed())
	}
	if cluster == "" {
		cluster = fmt.Sprintf(`"cluster":{"directory":%q}`, dir+"/cluster")
	}
	config = filepath.Join(dir, "daemon-config.json")
	g.Expect(os.WriteFile(config, fmt.Appendf(nil, `{"socketDir":%q,"cniDir":%q,"binDir":%q,"confDir":%q,"cniConfigDir":%q,"multusConfigFile":"auto",%s}`,
		dir+"/run", dir+"/cni", dir+"/plugins", dir+"/conf", dir+"/net.d", cluster), 0o600)).To(Succeed())
	return dir, config
}

// record writes a record as the daemon does.
func record(t *testing.T, dir string) {
	t.Helper()
	g := NewWithT(t)
	store, err := ledger.Open(filepath.Join(dir, "cni"), slog.New(slog.DiscardHandler))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(store.Begin(&ledger.Record{
		ContainerID: "c1", State: ledger.StateAdded, Pod: ledger.Pod{Namespace: "shop", Name: "good"}, Netns: "/run/netns/a", Interface: "eth0",
		Attachments: []ledger.Attachment{
			{Network: "main", Definition: "main", Interface: "eth0", Default: true, Config: `{"cniVersion":"1.0.0","name":"main","plugins":[{"type":"bridge"}]}`, CapabilityArgs: map[string]any{"token": "s3cret"}},
			{Network: "blue", Definition: "shop/blue", Interface: "up1", Config: `{"cniVersion":"1.0.0","name":"blue","plugins":[{"type":"macvlan","password":"s3cret"}]}`},
		},
	})).To(Succeed())
}

// state is every file below a directory, with what it is and when it was changed.
func state(t *testing.T, dir string) (files []string) {
	t.Helper()
	NewWithT(t).Expect(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		files = append(files, fmt.Sprintf("%s %s %d %s", path, info.Mode(), info.Size(), info.ModTime()))
		return err
	})).To(Succeed())
	return files
}

func TestExplainFromDirectory(t *testing.T) {
	g := NewWithT(t)
	dir, config := explainedNode(t, "")
	record(t, dir)
	before := state(t, dir)
	var out bytes.Buffer
	g.Expect(run([]string{"explain", "--config", config, "--pod", "shop/good"}, &out, &out)).To(Succeed(), out.String())
	t.Logf("explain of a good pod:\n%s", out.String())
	for _, line := range []string{
		"pod shop/good, uid 0-1",
		"eth0: asked for by clusterNetwork " + dir + "/net.d",
		"configuration from the network configuration of " + dir + "/net.d",
		"plugin bridge: " + dir + "/plugins/bridge",
		"up1: asked for by annotation k8s.v1.cni.cncf.io/networks, element 1, shop/blue",
		"configuration from network definition shop/blue",
		"plugin static: " + dir + "/plugins/static",
		`ips from the pod's selection, given to macvlan: ["10.1.0.5/24"]`,
		`"password": "(masked)"`, `"url": "https://me:(masked)@10.0.0.1/"`, `"credentials": "(masked)"`, `"apiToken": "(masked)"`,
		"recorded: container c1, added",
		"eth0: network \"main\" (main)\n",
		"up1: network \"blue\" (shop/blue); an ADD would attach it with another configuration now",
		`capabilities: {"token":"(masked)"}`,
	} {
		g.Expect(out.String()).To(ContainSubstring(line))
	}
	g.Expect(out.String()).NotTo(ContainSubstring("s3cret"))
	g.Expect(state(t, dir)).To(Equal(before), "it writes nothing")
}

func TestExplainFailure(t *testing.T) {
	g := NewWithT(t)
	dir, config := explainedNode(t, "")
	before := state(t, dir)
	var out bytes.Buffer
	g.Expect(run([]string{"explain", "--config", config, "--pod", "shop/bad"}, &out, &out)).NotTo(Succeed())
	t.Logf("explain of a bad pod:\n%s", out.String())
	for _, line := range []string{
		"net1: asked for by annotation k8s.v1.cni.cncf.io/networks, element 1, shop/blue",
		"FAILS: network definition shop/missing: not found in the manifests of",
		"plugin sriov: MISSING: ", `FAILS: cniVersion "1.7.0" is not supported`,
		"an ADD would fail: network definition shop/missing: not found",
		"nothing is recorded of this pod",
	} {
		g.Expect(out.String()).To(ContainSubstring(line))
	}
	out.Reset()
	g.Expect(run([]string{"explain", "--config", config, "--pod", "shop/early"}, &out, &out)).NotTo(Succeed(), "what the planner takes and no delegate")
	g.Expect(out.String()).To(ContainSubstring("an ADD would fail: its plugins cannot be executed"))
	out.Reset()
	g.Expect(run([]string{"explain", "--config", config, "--pod", "shop/none"}, &out, &out)).To(MatchError(ContainSubstring("shop/none: not found")))
	for _, name := range []string{"", "good", "../x", "shop/../good"} {
		g.Expect(run([]string{"explain", "--config", config, "--pod", name}, &out, &out)).To(MatchError(ContainSubstring("NAMESPACE/NAME")))
	}
	g.Expect(state(t, dir)).To(Equal(before), "it writes nothing")
}

// TestExplainHostile: what a tenant writes does not steer the terminal of whoever
// looks, or begin a line of its own.
func TestExplainHostile(t *testing.T) {
	g := NewWithT(t)
	dir, config := explainedNode(t, "")
	file := filepath.Join(dir, "cluster/evil.yaml")
	g.Expect(os.WriteFile(file, []byte(`apiVersion: v1
kind: Pod
metadata:
  name: evil
  namespace: shop
  annotations:
    k8s.v1.cni.cncf.io/networks: '[{"name": "evil", "ips": ["10.1.0.5"], "cni-args": {"a": "\u009b2J\u007f"}}]'
---
apiVersion: v1
kind: Pod
metadata:
  name: malformed
  namespace: shop
  annotations:
    k8s.v1.cni.cncf.io/networks: "blue@x\e[31m\"\r\n::error::forged"
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: evil, namespace: shop}
spec:
  config: '{"cniVersion": "1.0.0", "name": "evil", "type": "a\u001b[2J\n::error::forged", "capabilities": {"ips": true}}'
`), 0o600)).To(Succeed())
	for _, args := range [][]string{
		{"explain", "--config", config, "--pod", "shop/evil"}, {"explain", "--config", config, "--pod", "shop/malformed"}, {"lint", "--bin-dir", dir, file},
	} {
		var out bytes.Buffer
		g.Expect(run(args, &out, &out)).NotTo(Succeed())
		g.Expect(out.String()).To(ContainSubstring(`\x1b[`), "%v", args)
		g.Expect(out.String()).NotTo(MatchRegexp(`[^\n\t\pL\pM\pN\pP\pS ]|(?m:^ *::)`), "%v", args)
	}
}

// TestExplainFromAPIServer: pods and definitions come from a real API server, by a
// look at each, with no right but to get them.
func TestExplainFromAPIServer(t *testing.T) {
	assets, err := apiserver.Assets("../../bin/k8s")
	if err != nil {
		t.Skip(err)
	}
	g := NewWithT(t)
	server, err := apiserver.Start(t.Context(), apiserver.Options{Assets: assets, Dir: t.TempDir(), Audit: true})
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = server.Stop() }()
	admin, err := kubernetes.NewForConfig(server.Config)
	g.Expect(err).NotTo(HaveOccurred())
	makeExplained(t, admin, server.Config)
	kubeconfig := readerKubeconfig(t, admin, server.Config)

	dir, config := explainedNode(t, fmt.Sprintf(`"kubeconfig":%q,"nodeName":"worker-1"`, kubeconfig))
	before := state(t, dir)
	var out bytes.Buffer
	g.Expect(run([]string{"explain", "--config", config, "--pod", "shop/good"}, &out, &out)).To(Succeed(), out.String())
	g.Expect(out.String()).To(And(ContainSubstring("node worker-1"), ContainSubstring("configuration from network definition shop/blue"), ContainSubstring("given to macvlan")))
	out.Reset()
	g.Expect(run([]string{"explain", "--config", config, "--pod", "shop/bad"}, &out, &out)).NotTo(Succeed())
	g.Expect(out.String()).To(ContainSubstring("FAILS: network definition shop/missing: not found"))
	g.Expect(state(t, dir)).To(Equal(before), "it writes nothing")
	audit, err := os.ReadFile(server.AuditLog)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.Count(string(audit), `"verb":"get"`)).To(BeNumerically(">=", 4))
	g.Expect(string(audit)).NotTo(MatchRegexp(`"verb":"(create|update|patch|delete|list|watch)"`), "what a service account asked for")
}

// makeExplained makes the pods and definitions of explainedManifests in an API server.
func makeExplained(t *testing.T, admin kubernetes.Interface, config *rest.Config) {
	t.Helper()
	g := NewWithT(t)
	_, err := admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	makeDefinitions(t, config)
	for name, networks := range map[string]string{"good": `[{"name":"blue","ips":["10.1.0.5/24"],"interface":"up1"}]`, "bad": "missing"} {
		_, err := admin.CoreV1().Pods("shop").Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"k8s.v1.cni.cncf.io/networks": networks}},
			Spec:       corev1.PodSpec{NodeName: "worker-1", Containers: []corev1.Container{{Name: "c", Image: "c"}}},
		}, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
	}
}

// makeDefinitions makes the definitions' kind in an API server, and one of them.
func makeDefinitions(t *testing.T, config *rest.Config) {
	t.Helper()
	g := NewWithT(t)
	client, err := dynamic.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	manifest, err := os.ReadFile("../../kind/manifests/base/definitions.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	kind := &unstructured.Unstructured{}
	g.Expect(k8syaml.Unmarshal(manifest, &kind.Object)).To(Succeed())
	_, err = client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).
		Create(t.Context(), kind, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	blue := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": map[string]any{"name": "blue", "namespace": "shop"},
		"spec": map[string]any{"config": `{"cniVersion":"1.0.0","name":"blue","plugins":[{"type":"macvlan","capabilities":{"ips":true}}]}`},
	}}
	definitions := client.Resource(schema.GroupVersionResource{Group: "k8s.cni.cncf.io", Version: "v1", Resource: "network-attachment-definitions"})
	g.Eventually(func() error {
		_, err := definitions.Namespace("shop").Create(t.Context(), blue, metav1.CreateOptions{})
		return err
	}).WithTimeout(20 * time.Second).Should(Succeed())
}

// readerKubeconfig makes an account that may get pods and definitions and do
// nothing else.
func readerKubeconfig(t *testing.T, admin kubernetes.Interface, config *rest.Config) string {
	t.Helper()
	g := NewWithT(t)
	_, err := admin.CoreV1().ServiceAccounts("kube-system").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = admin.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
		{APIGroups: []string{"k8s.cni.cncf.io"}, Resources: []string{"network-attachment-definitions"}, Verbs: []string{"get"}},
	}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reader"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "reader", Namespace: "kube-system"}},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	return accountKubeconfig(t, admin, config, "reader")
}

func TestMask(t *testing.T) {
	for given, want := range map[string]string{
		`{"a":1,"Password":"x","api-token":["x"],"keys":"y"}`: `{"Password":"(masked)","a":1,"api-token":"(masked)","keys":"y"}`,
		`[{"client_secret":{"a":"x"}}]`:                       `[{"client_secret":"(masked)"}]`,
		`{"n":9007199254740993,"u":"tcp://a:x@h"}`:            `{"n":9007199254740993,"u":"tcp://a:(masked)@h"}`,
		`no JSON with a token`:                                masked,
	} {
		if got := mask([]byte(given)); got != want {
			t.Errorf("%s: %s", given, got)
		}
	}
}
