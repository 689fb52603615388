// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

var namesCases = []thick.Case{
	{
		ID: "SEC-10", Level: spec.Must, Source: "OPS", Body: securityNames,
		Title: "What ADD accepts DEL can delete: names that no delegate can be given are refused at ADD",
	},
}

// impossibleNames are interface names that a plugin cannot be given, or that
// the kernel makes another name of.
var impossibleNames = []string{
	"a\x00b", "\x00", "a\nb", "a\tb", "a\x1bb", "a\x7fb", "net%d", "%", "a%sb", "a/b", "a:b", "a b", ".", "..", "abcdefghijklmnop", "a\u0085b", "a\u2028b",
}

// securityNames is SEC-10.
func securityNames(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("plain", e.FakeList("plain", expect.VethFake()))
	e.Start(ctx)
	for _, name := range impossibleNames {
		ginkgo.By(fmt.Sprintf("interface name %q", name))
		securityNameRefused(ctx, e, name)
	}
	for _, length := range []int{17, 100, 215} {
		securityLongNames(ctx, e, length)
	}
	securityLongNetwork(ctx, e)
	s := e.Sandbox(node.Networks("plain@ok.1"))
	e.MustOK(e.Add(ctx, s))
	if e.Supports(thick.FeatureGC) {
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, expect.NodeRequest(e, s, "GC")))
	}
	e.MustOK(e.Del(ctx, s))
	expect.NothingLeft(e, s)
}

// securityNameRefused asks for an interface by the annotation and on /delegate.
// Nothing is executed, not for the default network either.
func securityNameRefused(ctx context.Context, e *thick.Env, name string) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks(string(node.MustJSON([]any{map[string]any{"name": "plain", "interface": name}}))))
	_ = expect.Refused(e.Add(ctx, s))
	Expect(e.CallsFor("ADD", s)).To(BeEmpty(), "delegates that ran for an interface that cannot be deleted")
	e.MustOK(e.Del(ctx, s))
	expect.NothingLeft(e, s)
	if !e.Supports(thick.FeatureHotplug) {
		return
	}
	s = e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	r := expect.HotplugRequest(e, s, "ADD", e.FakeList("plain", expect.VethFake()))
	r.Env["CNI_IFNAME"] = name
	_ = expect.Refused(e.Post(ctx, api.MultusDelegateAPIEndpoint, r))
	Expect(e.CallsFor("ADD", s)).To(HaveLen(1), "delegates that ran for a hot-plug that cannot be deleted")
	e.MustOK(e.Del(ctx, s))
	expect.NothingLeft(e, s)
}

// securityLongNames asks for a device on a network whose definition has a long
// name. The plugin is told of a file for the device, whose name is often made
// of the definition's.
func securityLongNames(ctx context.Context, e *thick.Env, length int) {
	ginkgo.GinkgoHelper()
	ginkgo.By(fmt.Sprintf("a definition's name of %d characters, with a device", length))
	name := strings.Repeat("n", length)
	withDevice := expect.VethFake()
	withDevice.Capabilities = map[string]bool{"deviceID": true, "CNIDeviceInfoFile": true}
	e.Definition(name, e.FakeList("long", withDevice))
	securityAddedOrRefused(ctx, e, e.Sandbox(node.Networks(string(node.MustJSON([]any{map[string]any{"name": name, "deviceID": "0000:01:02.3"}})))))
}

// securityLongNetwork is a network whose CNI name is longer than a file's.
func securityLongNetwork(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	for _, length := range []int{100, 200, 255, 300, 4096} {
		ginkgo.By(fmt.Sprintf("a network's name of %d characters", length))
		config := e.FakeList(strings.Repeat("n", length), expect.VethFake())
		e.Definition("network", config)
		s := e.Sandbox(node.Networks("network"))
		securityAddedOrRefused(ctx, e, s)
		if length > 255 {
			Expect(e.CallsFor("ADD", s)).To(BeEmpty(), "delegates that ran for a network whose name is longer than any file's")
		}
	}
}

// securityAddedOrRefused asserts that what is accepted can be deleted.
func securityAddedOrRefused(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	if a := e.Add(ctx, s); !a.OK() {
		_ = expect.Refused(a)
	}
	e.MustOK(e.Del(ctx, s))
	expect.NothingLeft(e, s)
}
