// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// probes find out by what a daemon does whether it has a feature. The others are
// told by its configuration alone.
var probes = []struct {
	feature spec.Feature
	has     func(ctx context.Context, p *probed) bool
}{
	{FeatureReadyz, func(ctx context.Context, p *probed) bool { return p.answers(ctx, http.MethodGet, "/readyz", nil) }},
	{FeatureHotplug, func(ctx context.Context, p *probed) bool { return p.plugs(ctx) }},
	{FeatureStatus, func(ctx context.Context, p *probed) bool { return p.carriesOut(ctx, "STATUS") }},
	{FeatureGC, func(ctx context.Context, p *probed) bool { return p.carriesOut(ctx, "GC") }},
	{FeatureProcess, func(_ context.Context, p *probed) bool { return p.daemon.PID() != 0 }},
	{FeatureRestart, func(ctx context.Context, p *probed) bool { return p.restarts(ctx) }},
	{FeatureNodeConf, func(ctx context.Context, p *probed) bool { return p.writesNodeConf(ctx) }}, // the last: it starts another daemon
}

// Undeclared returns the features that a target has by what it does, and does not
// declare: cases about them are skipped, and nobody sees that they would fail.
// A daemon that already runs is not asked.
func Undeclared() suite.Case {
	c := Case{
		ID: "SURVEY-00", Profile: "survey", Level: spec.Should, Source: "suite", Title: "Features that the target has are declared",
		Body: func(ctx context.Context, e *Env) {
			var found []string
			var p *probed
			for _, probe := range probes {
				if e.Supports(probe.feature) {
					continue
				}
				if p == nil {
					p = newProbed(ctx, e)
				}
				if probe.has(ctx, p) {
					found = append(found, string(probe.feature))
				}
			}
			for _, f := range found {
				e.Notef("%s", f)
			}
		},
	}
	return c.forSuite()
}

// probed is a daemon whose features are looked for, with a sandbox that is
// attached.
type probed struct {
	e       *Env
	daemon  *Daemon
	sandbox *node.Sandbox
}

func newProbed(ctx context.Context, e *Env) *probed {
	ginkgo.GinkgoHelper()
	e.AllowLeftovers("what a feature leaves is for its own cases")
	e.DefaultNetwork(e.FakeList("default", script.Fake{}))
	p := &probed{e: e, daemon: e.Start(ctx), sandbox: e.Sandbox()}
	e.MustOK(e.Add(ctx, p.sandbox))
	return p
}

// answers reports whether an endpoint is answered otherwise than one that no
// daemon has.
func (p *probed) answers(ctx context.Context, method, path string, body []byte) bool {
	nowhere, err := p.e.Do(ctx, method, "/"+node.RandomHex(8), nil, bytes.NewReader(body))
	if err != nil {
		return false
	}
	a, err := p.e.Do(ctx, method, path, nil, bytes.NewReader(body))
	return err == nil && a.Status != nowhere.Status && a.Status != http.StatusNotFound && a.Status != http.StatusMethodNotAllowed
}

// carriesOut reports whether a command succeeds, and one that does not exist
// fails.
func (p *probed) carriesOut(ctx context.Context, command string) bool {
	ginkgo.GinkgoHelper()
	ask := func(command string) bool {
		r := p.e.Request(command, p.sandbox)
		var config map[string]any
		Expect(json.Unmarshal(r.Config, &config)).To(Succeed(), "JSON is expected here: %s", r.Config)
		config["cni.dev/valid-attachments"] = []any{map[string]any{"containerID": p.sandbox.ID, "ifname": p.sandbox.IfName}}
		r.Config = node.MustJSON(config)
		a, err := p.e.TryPost(ctx, api.MultusCNIAPIEndpoint, r)
		return err == nil && a.OK()
	}
	return ask(command) && !ask("NOSUCH")
}

// plugs reports whether a hot-plugged network reaches its delegate.
func (p *probed) plugs(ctx context.Context) bool {
	ginkgo.GinkgoHelper()
	s := p.sandbox
	r := api.CreateDelegateRequest("ADD", s.ID, s.Netns, "hot0", s.PodNamespace, s.PodName, s.PodUID, []byte(p.e.FakeList("hot")), nil)
	a, err := p.e.TryPost(ctx, api.MultusDelegateAPIEndpoint, r)
	return err == nil && a.OK() && slices.Contains(node.NetworksOf(p.e.CallsFor("ADD", s)), "hot")
}

// restarts reports whether a second daemon on the same directories serves, and
// deletes what the first one attached.
func (p *probed) restarts(ctx context.Context) bool {
	ginkgo.GinkgoHelper()
	p.daemon.Stop(ctx)
	p.daemon = p.e.Start(ctx)
	a, err := p.e.TryPost(ctx, api.MultusCNIAPIEndpoint, p.e.Request("DEL", p.sandbox))
	return err == nil && a.OK() && len(p.e.CallsFor("DEL", p.sandbox)) > 0
}

// writesNodeConf reports whether a daemon that is told the node's CNI directory
// writes a configuration into it.
func (p *probed) writesNodeConf(ctx context.Context) bool {
	ginkgo.GinkgoHelper()
	without, with := p.e.Paths(), p.e.Paths()
	with.CNIConfDir = p.e.CNIConfDir
	plain, err := p.e.Target.DaemonConfig(without)
	Expect(err).NotTo(HaveOccurred())
	told, err := p.e.Target.DaemonConfig(with)
	Expect(err).NotTo(HaveOccurred())
	if bytes.Equal(plain, told) {
		return false // its configuration has no place for the directory
	}
	p.daemon.Stop(ctx)
	p.e.NodeNetwork("10-default.conflist", p.e.FakeList("default", script.Fake{}))
	p.daemon = p.e.Start(ctx, NodeConfiguration(), WithoutWaiting())
	return node.Await(func() []string {
		if _, _, err := p.e.NodeConf(); err == nil {
			return nil
		}
		return []string{"no file yet"}
	}, 5*time.Second)
}
