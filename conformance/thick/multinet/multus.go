// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var multusCases = []thick.Case{
	{
		ID: "NET-28", Level: spec.Should, Source: "Multus", Needs: []spec.Feature{thick.FeatureMultusConfig, thick.FeatureNodeConf, thick.FeatureRestart},
		Slow: 8 * time.Second, Timeout: 120 * time.Second, Body: multusConfigurations,
		Title: "The daemon starts with every daemon configuration that Multus' own manifests and documents carry",
	},
}

// multusManifest is what the manifests of Multus' thick plugin say, for the
// directories of a case.
func multusManifest(e *thick.Env, more map[string]any) thick.StartOption {
	return thick.ConfigPatch(func(config map[string]any) {
		delete(config, "clusterNetwork")
		maps.Copy(config, map[string]any{
			"cniVersion": "0.3.1", "logLevel": "verbose", "logToStderr": true, "socketDir": e.RunDir + "/",
			"cniConfigDir": e.CNIConfDir, "multusAutoconfigDir": e.CNIConfDir, "multusConfigFile": "auto",
		})
		for key, value := range more {
			if config[key] = value; value == nil {
				delete(config, key)
			}
		}
	})
}

// multusConfigurations is NET-28.
func multusConfigurations(ctx context.Context, e *thick.Env) {
	e.NodeNetwork("10-default.conflist", expect.Versioned(e.FakeList("default", script.Fake{Capabilities: map[string]bool{"bandwidth": true}}), "1.0.0"))
	e.DefaultNetwork(e.FakeList("default"))
	e.DefinitionIn(e.Namespace, "sidecar", e.FakeList("sidecar-net"))
	other := filepath.Join(e.ConfDir, "20-named.conflist")
	node.ReplaceFile(other, []byte(e.FakeList("named", script.Fake{Capabilities: map[string]bool{"mac": true}})))
	for _, row := range []struct {
		what     string
		more     map[string]any
		networks []string
	}{
		{"the manifest of thick nodes", map[string]any{"chrootDir": "/"}, []string{"default"}},
		{"without multusConfigFile", map[string]any{"multusConfigFile": nil}, []string{"default"}},
		{"that of Multus' end-to-end tests", map[string]any{
			"confDir": e.ConfDir, "logLevel": "debug", "logFile": filepath.Join(e.Dir, "logs", "multus.log"), "forceCNIVersion": true,
			"cniVersion": "1.0.0", "connectionLimit": 1}, []string{"default"}},
		{"the reference's example", map[string]any{
			"name": "node-cni-network", "type": "multus", "namespaceIsolation": false, "defaultNetworks": []any{"sidecar"},
			"clusterNetwork": other, "systemNamespaces": []any{"kube-system", "admin"}, "multusNamespace": e.Namespace,
			"capabilities": map[string]any{"portMappings": true}, "auxiliaryCNIChainName": "cni-chain-config", "retryDeleteOnError": true,
			"allowTryDeleteOnErr": false, "logOptions": map[string]any{"maxAge": 5, "maxSize": 100, "maxBackups": 5, "compress": true},
			"logFile": filepath.Join(e.Dir, "multus.log")}, []string{"named", "sidecar-net"}},
		{"delegates beside what is found on the node", map[string]any{
			"delegates": []any{map[string]any{"type": "weave-net", "hairpinMode": true}}}, []string{"default"}},
	} {
		ginkgo.By(row.what)
		d := e.Start(ctx, thick.NodeConfiguration(), multusManifest(e, row.more))
		expectRuntimeAttaches(ctx, e, "00-multus.conf", row.networks)
		d.Stop(ctx)
	}
	ginkgo.By("capabilities of the daemon's configuration, and those of the network that clusterNetwork names")
	d := e.Start(ctx, thick.NodeConfiguration(), multusManifest(e, map[string]any{"clusterNetwork": other, "capabilities": map[string]any{"portMappings": true}}))
	Eventually(e.NodeCapabilities).WithContext(ctx).WithTimeout(thick.FollowLimit).WithPolling(node.PollInterval).
		Should(ContainElement("portMappings"), "the capabilities that the runtime finds")
	d.Stop(ctx)

	ginkgo.By("delegates of a configuration that is installed")
	given := expect.ShimConfigFile(e, "70-multus.conf", map[string]any{"delegates": []any{
		e.Plugin(script.Fake{Extra: map[string]any{"cniVersion": "1.0.0", "name": "first"}}), e.Plugin(script.Fake{Extra: map[string]any{"cniVersion": "1.0.0", "name": "second"}}),
	}})
	d = e.Start(ctx, thick.NodeConfiguration(), multusManifest(e, map[string]any{"multusConfigFile": given}))
	expectRuntimeAttaches(ctx, e, "70-multus.conf", []string{"first", "second"})
	d.Stop(ctx)

	if e.Supports(thick.FeatureKubernetes) {
		multusClusterRole(ctx, e)
	}
}

// expectRuntimeAttaches asserts that the daemon is ready and that the shim, with
// the file that the daemon put into the node's directory, attaches a sandbox to
// these networks.
func expectRuntimeAttaches(ctx context.Context, e *thick.Env, file string, networks []string) {
	ginkgo.GinkgoHelper()
	if e.Supports(thick.FeatureReadyz) {
		Expect(e.Probe(ctx, e.RunDir, api.MultusReadyAPIEndpoint)).To(Succeed())
	}
	var config []byte
	Eventually(func() (err error) {
		config, err = os.ReadFile(filepath.Join(e.CNIConfDir, file))
		return err
	}).WithContext(ctx).WithTimeout(thick.FollowLimit).WithPolling(node.PollInterval).Should(Succeed(), "the runtime's configuration")
	s := e.Sandbox()
	expect.Succeeded(e.Shim(ctx, "ADD", s, thick.ShimConfigBytes(config)))
	calls := e.CallsFor("ADD", s)
	Expect(node.NetworksOf(calls)).To(Equal(networks), "the networks of a sandbox")
	for i, c := range calls {
		Expect(c.Interface).To(Equal([]string{s.IfName, "net1"}[i]), "the interface of network %s", c.Network)
	}
	expect.Succeeded(e.Shim(ctx, "DEL", s, thick.ShimConfigBytes(config)))
}

// multusClusterRole has the rights that Multus' manifest gives its daemon: the
// status of pods may be updated and not patched.
func multusClusterRole(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the ClusterRole of Multus' manifest")
	w := e.Api()
	w.Grant([]rbacv1.PolicyRule{
		{APIGroups: []string{"k8s.cni.cncf.io"}, Resources: []string{"*"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"pods", "pods/status"}, Verbs: []string{"get", "list", "update", "watch"}},
		{APIGroups: []string{"resource.k8s.io"}, Resources: []string{"resourceclaims", "resourceclaims/status", "resourceslices"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch", "update"}},
	})
	e.Start(ctx)
	s := e.Sandbox(node.Networks("sidecar"))
	w.SetAnnotation(ctx, s, "example.org/other", "kept")
	e.MustOK(e.Add(ctx, s))
	expect.ShowsNames(e, s, "default as eth0", e.Namespace+"/sidecar as net1")
	Expect(w.Annotations(s)).To(HaveKeyWithValue("example.org/other", "kept"), "the annotation of somebody else")
	e.MustOK(e.Del(ctx, s))
	expect.NoStatus(e, s, "the network status of a sandbox that is gone")

	ginkgo.By("somebody else writes annotations all the time")
	var contended []*node.Sandbox
	for range 3 {
		contended = append(contended, e.Sandbox(node.Networks("sidecar,sidecar")))
	}
	addBesideWriters(ctx, e, contended)
}
