// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var resultCases = []plugin.Case{
	{ID: "CHN-01", Level: spec.Must, Source: "CNI §5, linkerd2#8864",
		Title: "The result is prevResult with the plugin's own changes and is equivalent to it when there are none, every field of the version included",
		Body:  resultPassesOn},
}

func resultPassesOn(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	fullResult(e, a.Base)
	r := a.MustAdd(ctx)
	Expect(r.CNIVersion).To(Equal(e.Version), "cniVersion of the result")
	expectPassedOn(a, plain(a.Base), r.Fields)
	a.MustDel(ctx)
	if !e.Target.HasVariant(variantIdle) {
		return
	}
	idle := e.Attach(variantIdle)
	fullResult(e, idle.Base)
	idle.MustAdd(ctx)
	Expect(plain(idle.Result.Fields)).To(Equal(plain(idle.Base)), "the result of a plugin that has nothing to do, beside its prevResult")
}

// fullResult gives a previous plugin's result every field of its version.
func fullResult(e *plugin.Env, base map[string]any) {
	base["dns"] = map[string]any{"nameservers": []any{"192.0.2.53"}, "domain": "example.test", "search": []any{"a.test", "b.test"}, "options": []any{"ndots:5"}}
	gateway := base["ips"].([]any)[0].(map[string]any)["gateway"]
	routes := []any{
		map[string]any{"dst": "0.0.0.0/0", "gw": gateway},
		map[string]any{"dst": "198.51.100.0/24", "gw": gateway},
	}
	if plugin.AtLeast(e.Version, "1.1.0") {
		maps.Copy(routes[1].(map[string]any), map[string]any{"mtu": 1400, "advmss": 1360, "priority": 7, "table": 100, "scope": 0})
		for i, f := range base["interfaces"].([]any) {
			maps.Copy(f.(map[string]any), map[string]any{"mtu": 1500, "socketPath": fmt.Sprintf("/run/s%d.sock", i), "pciID": fmt.Sprintf("0000:00:1f.%d", i)})
		}
	}
	base["routes"] = routes
}

// expectPassedOn asserts that everything of prevResult is in the result. A mac
// and an mtu may be others when the interface has them now.
func expectPassedOn(a *plugin.Attachment, prev, got map[string]any) {
	ginkgo.GinkgoHelper()
	got = plain(got)
	for key, want := range prev {
		if key == "cniVersion" {
			continue
		}
		list, isList := want.([]any)
		if !isList {
			Expect(got[key]).To(Equal(want), "%s of the result", key)
			continue
		}
		has, _ := got[key].([]any)
		for _, one := range list {
			fields := one.(map[string]any)
			if key == "interfaces" {
				fields = asNow(a, fields)
			}
			Expect(slices.ContainsFunc(has, func(h any) bool { return text(h) == text(fields) })).
				To(BeTrue(), "%s of the result: prevResult has %s, which is %s now; the result has %s", key, text(one), text(fields), text(has))
		}
	}
}

// asNow is an interface of a result with the mac and the mtu that it has now: a
// plugin may have changed them.
func asNow(a *plugin.Attachment, fields map[string]any) map[string]any {
	ginkgo.GinkgoHelper()
	now := maps.Clone(fields)
	look := func() error {
		l, err := netlink.LinkByName(fields["name"].(string))
		if err != nil {
			return nil //nolint:nilerr // a plugin may have taken it away: then it is not as it is now
		}
		now["mac"] = l.Attrs().HardwareAddr.String()
		if now["mtu"] != nil {
			now["mtu"] = float64(l.Attrs().MTU)
		}
		return nil
	}
	if fields["sandbox"] == a.Netns {
		a.Sandbox.Do(look)
	}
	return now
}

// plain is a result as JSON has it, without what means the same as nothing.
func plain(fields map[string]any) map[string]any {
	ginkgo.GinkgoHelper()
	var all map[string]any
	data, err := json.Marshal(fields)
	Expect(err).NotTo(HaveOccurred())
	Expect(json.Unmarshal(data, &all)).To(Succeed())
	withoutEmpty(all)
	return all
}

func withoutEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		for _, one := range v {
			withoutEmpty(one)
		}
		return len(v) == 0
	case map[string]any:
		for key, one := range v {
			if withoutEmpty(one) {
				delete(v, key)
			}
		}
		return len(v) == 0
	}
	return false
}

func text(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}
