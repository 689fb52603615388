// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"os/exec"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var statusCases = []plugin.Case{
	{ID: "PLUG-23", Level: spec.Must, Source: "CNI §2 STATUS", Since: "1.1.0", Needs: []spec.Feature{plugin.FeatureStatus},
		Title: "STATUS is 0 when ADD can be served and fails when IPAM's STATUS does; STATUS and GC need no container", Body: statusSays},
	{ID: "PLUG-24", Level: spec.Should, Source: "CNI §2 STATUS, aws#2487, spiderpool#5735", Timeout: 4 * time.Minute,
		Title: "With its daemon, IPAM or master away STATUS answers 50, ADD fails within 60 s, and a DEL that could not release anything fails or is carried out later", Body: somethingAway},
}

func statusSays(ctx context.Context, e *plugin.Env) {
	e.MustOK(e.Status(ctx))
	a := e.Attach()
	a.MustAdd(ctx)
	a.MustDel(ctx)
	if e.Target.Has(plugin.FeatureGC) {
		e.MustOK(e.GC(ctx))
	}
	if e.Target.Has(plugin.FeatureIPAM) {
		e.ScriptIPAM(script.Fake{Status: script.FakeStep{Error: types.NewError(50, "the pool is away", "")}})
		e.MustFail(e.Status(ctx), "STATUS with an IPAM plugin whose STATUS fails")
		e.ScriptIPAM(script.Fake{})
	}
	for _, command := range e.Unready() {
		out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), "unready: %q says %s", command, out)
		e.MustFail(e.Status(ctx), "STATUS after the target file's unready command")
	}
}

// addLimit is how long an ADD may take that cannot be served. STATUS gets as long:
// it may wait for a daemon as ADD does.
const addLimit = 60 * time.Second

func somethingAway(ctx context.Context, e *plugin.Env) {
	asked := false
	if e.Target.Has(plugin.FeatureIPAM) {
		asked = true
		a := e.Attach()
		a.MustAdd(ctx)
		back := e.HideIPAM()
		expectAway(ctx, e, "IPAM plugin")
		released := a.Del(ctx, plugin.Within(addLimit))
		back()
		if released.OK() {
			Eventually(func() []plugin.Lease { return e.LeasesOf(a) }).WithContext(ctx).WithTimeout(30*time.Second).Should(BeEmpty(),
				"addresses of a DEL that succeeded while the IPAM plugin was away")
		}
		a.MustDel(ctx)
	}
	if e.StopDaemon() {
		asked = true
		expectAway(ctx, e, "daemon")
	} else if master := e.Master(); master != "" {
		asked = true
		l, err := netlink.LinkByName(master)
		Expect(err).NotTo(HaveOccurred())
		Expect(netlink.LinkDel(l)).To(Succeed())
		expectAway(ctx, e, "master")
	}
	if !asked {
		e.Skipf("the plugin has neither a daemon, nor an IPAM plugin, nor a master that could be away")
	}
}

// expectAway asserts on STATUS and ADD while something is away that ADD needs.
func expectAway(ctx context.Context, e *plugin.Env, what string) {
	ginkgo.GinkgoHelper()
	began := time.Now()
	e.MustFail(e.Attach().Add(ctx, plugin.Within(addLimit)), "ADD with its "+what+" away")
	e.Notef("ADD with its %s away failed after %s", what, time.Since(began).Round(time.Millisecond))
	if !hasStatus(e) {
		return
	}
	status := e.Command("STATUS", e.Config())
	status.Limit = addLimit
	answer := e.Execute(ctx, status)
	e.MustFail(answer, "STATUS with its "+what+" away")
	said := answer.Error()
	Expect(said).NotTo(BeNil(), "the error of STATUS with its %s away: %s", what, answer.String())
	Expect(said.Code).To(BeElementOf(50, 51), "the code of STATUS with its %s away: %s", what, answer.String())
}
