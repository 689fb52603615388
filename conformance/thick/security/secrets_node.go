// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"os"
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// What SEC-04 does with the commands that have no sandbox, and with daemons
// that find something wrong when they start.

// secretsOfNode has GC and STATUS fail.
func secretsOfNode(ctx context.Context, e *thick.Env, v *eavesdropper) {
	ginkgo.GinkgoHelper()
	if e.Supports(thick.FeatureGC) {
		failing := script.Fake{Extra: secretKeys(v.secret), GC: script.FakeStep{Exit: 1, Times: 1}}
		e.Definition("gc-failing", expect.Versioned(e.FakeList("gc-failing", failing), "1.1.0"))
		s := e.Sandbox(node.Networks("gc-failing"))
		e.MustOK(e.Add(ctx, s))
		r := expect.GcRequest(e, s)
		r.Config = withSecrets(r.Config, v.secret)
		v.answer("GC", e.Post(ctx, api.MultusCNIAPIEndpoint, r))
		v.answer("GC that cannot be read", e.Post(ctx, api.MultusCNIAPIEndpoint, expect.WithKey(r, expect.ValidKey, v.secret)))
		v.deleted("DEL after GC", e.Del(ctx, s))
	}
	if e.Supports(thick.FeatureStatus) {
		good := e.FakeList("default", script.Fake{Extra: secretKeys(v.secret)})
		e.DefaultNetwork(expect.Versioned(e.FakeList("default", script.Fake{Extra: secretKeys(v.secret), Status: script.FakeStep{Exit: 1}}), "1.1.0"))
		r := expect.StatusRequest(e)
		r.Config = withSecrets(r.Config, v.secret)
		v.answer("STATUS", e.Post(ctx, api.MultusCNIAPIEndpoint, r))
		e.DefaultNetwork(good)
	}
}

// secretsOfRestart starts a daemon whose configuration is wrong, and one that
// finds damaged records, which it returns.
func secretsOfRestart(ctx context.Context, e *thick.Env, v *eavesdropper, d *thick.Daemon, own []thick.StartOption) *thick.Daemon {
	ginkgo.GinkgoHelper()
	e.AllowLeftovers("damaged records are kept aside where the target likes")
	kept := expect.WatchKept(e)
	s, other := e.Sandbox(), e.Sandbox()
	kept.Add(ctx, s)
	kept.Add(ctx, other)
	d.Stop(ctx)
	v.keep("the first daemon's log", d.Log())

	if e.Supports(thick.FeatureMultusConfig) {
		for key, wrong := range map[string]any{"logLevel": []any{v.secret}, "kubeconfig": secretKeys(v.secret)["kubeconfig"]} {
			ginkgo.By("a configuration whose " + key + " is wrong")
			d = e.Start(ctx, append(slices.Clone(own), thick.WithoutWaiting(), thick.ConfigPatch(func(config map[string]any) { config[key] = wrong }))...)
			servesOrEnds(ctx, e, d)
			d.Stop(ctx)
			v.keep("the log of a daemon whose "+key+" is wrong", d.Log())
		}
	}

	ginkgo.By("a damaged record")
	paths := kept.Left()
	Expect(paths).NotTo(BeEmpty(), "files below the cache directory that an ADD changes")
	for _, path := range paths {
		content, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(path, append(content, v.secret...), 0o600)).To(Succeed())
	}
	d = e.Start(ctx, own...)
	v.hear("CHECK with a damaged record", e.Check(ctx, s))
	v.hear("DEL with a damaged record", e.Del(ctx, s))
	v.hear("DEL with another damaged record", e.Del(ctx, other))
	return d
}
