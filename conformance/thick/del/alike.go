// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var alikeCases = []thick.Case{{
	ID: "DEL-12", Level: spec.Must, Source: "CNI", Body: idsAlike,
	Title: "Container ids that differ in one late character, or in case alone, are different containers",
}}

// idsAlike is DEL-12, for ids as runtimes make them and for short ones.
func idsAlike(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	d := e.Start(ctx)
	long, short := "ab"+node.RandomHex(30), "pod-"+node.RandomHex(2)
	for what, ids := range map[string][2]string{
		"the last of 64 characters":      {long + "c0", long + "c1"},
		"a last character more":          {long, long + "0"},
		"the case of one character":      {long + "d0", long + "D0"},
		"the case of every letter":       {"c" + long, strings.ToUpper("c" + long)},
		"a dot, a hyphen, an underscore": {short + ".a", short + "-a"},
	} {
		ginkgo.By("ids that differ in " + what)
		goes, stays := e.Sandbox(node.ContainerID(ids[0]), node.Networks("blue")), e.Sandbox(node.ContainerID(ids[1]), node.Networks("blue"))
		e.MustOK(e.Add(ctx, goes))
		e.MustOK(e.Add(ctx, stays))
		d = expect.Restarted(ctx, e, d)
		expect.Checked(ctx, e, goes, e.Request("CHECK", goes))
		e.MustOK(e.Del(ctx, goes))
		expect.Deleted(e, goes)
		Expect(expect.PlacesOf(e.CallsFor("DEL", stays))).To(BeEmpty(), "DELs of the other container")
		expect.Checked(ctx, e, stays, e.Request("CHECK", stays))
		e.MustOK(e.Del(ctx, stays))
		expect.Deleted(e, stays)
	}
}
