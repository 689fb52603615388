// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/utils"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// FuzzSelections reads any annotation: it is refused with code 7 and a text, or
// every selection has names that are safe to use.
func FuzzSelections(f *testing.F) {
	for _, seed := range []string{
		"a", "ns/a@net9, b ,c", `[{"name":"a","namespace":"n","interface":"i","ips":["10.0.0.1/24"],"mac":"02:00:00:00:00:01"}]`,
		`[{"name":"a","default-route":["10.0.0.1","fd00::1"],"cni-args":{"a":1},"bandwidth":{"ingressRate":1},"portMappings":[{"hostPort":80}]}]`,
		`[{"name":"a","bandwidth":{"egressBurst":1}},{"name":"b","ips":[],"ipam-claim-reference":"c"}]`, `[{"name":"a","portMappings":[{"hostPort":1,"containerPort":2,"protocol":"Udp"}]}]`,
		"a,,b", "a@b@c", "../../x", "a@b/c", `[{}]`, `{"name":"a"}`, `[{"name":"a"`, "a@\x00", `[null]`, `[[]]`, "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, annotation string) {
		selections, err := ParseSelections(annotation, "default")
		if err != nil {
			var cni *types.Error
			if !errors.As(err, &cni) || cni.Code != types.ErrInvalidNetworkConfig || cni.Msg == "" {
				t.Errorf("%v is no CNI error of code 7", err)
			}
			return
		}
		// What ADD accepts a DEL without a record finds again.
		if recalled, err := recallSelections(annotation, "default"); err != nil || !reflect.DeepEqual(recalled, selections) {
			t.Errorf("a DEL finds %+v, %v; want %+v", recalled, err, selections)
		}
		for _, s := range selections {
			if s.Name == "" || strings.ContainsAny(s.Name+s.Namespace, "/ \x00") {
				t.Errorf("selection %+v of %q", s, annotation)
			}
			if s.InterfaceRequest != "" && utils.ValidateInterfaceName(s.InterfaceRequest) != nil {
				t.Errorf("interface %q of %q", s.InterfaceRequest, annotation)
			}
		}
	})
}

// FuzzDelegate makes a delegate of any configuration: what is accepted libcni
// reads too, under the same name, and no plugin type leaves the plugin
// directories (SEC-02).
func FuzzDelegate(f *testing.F) {
	for _, seed := range []string{
		`{"type":"t","name":"n","cniVersion":"1.1.0"}`, `{"name":"n","plugins":[{"type":"a"},{"type":"b","args":{"cni":{}}}]}`,
		`{"name":"n","plugins":[]}`, `{"type":"../t"}`, `{"plugins":[{"type":"/bin/sh"}]}`, `{"name":1}`, `[]`, `null`,
		`{"name":"n","Plugins":[{"TYPE":"../x"}],"plugins":[{"type":"t"}]}`, `{"name":"n","type":"t","plugins":null}`,
		`{"name":"n","plugins":[{"type":"t","Type":"../x"}]}`,
	} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, config []byte, withArgs bool) {
		sel := &Selection{Name: "d", Namespace: "ns"}
		if withArgs {
			sel.CNIArgs = map[string]any{"a": "b"}
		}
		d, err := NewDelegate(config, "net1", sel)
		if err != nil {
			return
		}
		list, err := libcni.NetworkConfFromBytes(d.Config)
		if err != nil {
			t.Fatalf("libcni does not read %s: %v", d.Config, err)
		}
		if list.Name != d.Network {
			t.Errorf("libcni calls the network %q, the delegate says %q", list.Name, d.Network)
		}
		for _, p := range list.Plugins {
			if p.Network.Type == "" || strings.ContainsAny(p.Network.Type, "/\x00") || p.Network.Type == ".." {
				t.Errorf("type %q was accepted", p.Network.Type)
			}
		}
	})
}

// FuzzPlan plans a pod that selects, and hot-plugs, any definition by any
// annotation. A plan is refused with code 7, or keeps the limits, is the same
// each time and for a DEL without a record, and can be carried out: names are
// safe and distinct, and libcni reads each configuration (SEC-06, SEC-10).
func FuzzPlan(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"t","capabilities":{"ips":true,"mac":true}}]}`, `[{"name":"d","ips":["10.0.0.1/24"],"mac":"02:00:00:00:00:01"}]`},
		{`{"type":"t"}`, "d, d@net9, default/d"}, {`{"name":"n","type":"t","ipam":{"type":"../x"}}`, "d"}, {``, "d"}, {`{"type":"t","name":"n/../x"}`, "d@eth0"},
		{`{"cniVersion":"0.3.1","name":"n","plugins":[{"type":"t"},{"type":"u","args":{"cni":{"a":1}}}],"disableCheck":"true"}`, `[{"name":"d","cni-args":{"a":9007199254740993},"interface":"net1"},{"name":"d","interface":"net1"}]`},
		{`{"name":"n","type":"t","capabilities":{"deviceID":true,"portMappings":true,"bandwidth":true}}`,
			`[{"name":"d","portMappings":[{"hostPort":80,"containerPort":80}],"bandwidth":{"ingressRate":1,"ingressBurst":1}},{"name":"d","default-route":["10.0.0.1"]}]`},
		{`{"name":"n","plugins":[{"type":"t"},null]}`, "d"}, {`{"name":"n","plugins":{"type":"t"}}`, "d"}, {`{"name":"\u0000","type":"t","vni":18446744073709551616}`, "d"},
		{`{"name":"n","type":"t","runtimeConfig":{"mac":"x"},"prevResult":{},"cniVersion":"99"}`, `[{"name":"d","infiniband-guid":"c2:11:22:33:44:55:66:77"}]`},
		{`{"name":"n","type":"t","cniVersion":1}`, "d"}, {`{"name":"n","type":"t","type":"u","Type":"v"}`, "d"}, {`[{"type":"t"}]`, "d"},
	} {
		f.Add([]byte(seed[0]), seed[1], false)
		f.Add([]byte(seed[0]), seed[1], true)
	}
	f.Fuzz(func(t *testing.T, definition []byte, annotation string, tolerate bool) {
		known := definitions{"kube-system/main": plugin("main"), "default/d": string(definition)}
		p := NewPlanner(Options{ClusterNetwork: "main", Limits: DefaultLimits(), TolerateUndeclared: tolerate}, known)
		subject := pod("default", annotation)
		plan, err := p.Plan(t.Context(), subject, "eth0", nil)
		checkExplained(t, p, subject, plan, err)
		if err != nil {
			refused(t, err)
		} else {
			feasible(t, plan)
			if again, err := p.Plan(t.Context(), subject, "eth0", nil); err != nil || !reflect.DeepEqual(again, plan) {
				t.Errorf("planned again: %+v, %v; want %+v", again, err, plan)
			}
			recalled, err := p.Recall(t.Context(), subject, "eth0", nil)
			if err != nil || !reflect.DeepEqual(recalled, plan) {
				t.Errorf("a DEL finds %+v, %v; want %+v", recalled, err, plan)
			}
		}
		if d, err := p.Plug(t.Context(), definition, "hot0", nil, 0); err == nil {
			feasible(t, []Delegate{*d})
		}
	})
}

// refused asserts that a plan's error is of the pod's own making, and says so.
func refused(t *testing.T, err error) {
	t.Helper()
	var cni *types.Error
	if !errors.Is(err, cluster.ErrNotFound) && !errors.Is(err, errNoConfig) && (!errors.As(err, &cni) || cni.Code != types.ErrInvalidNetworkConfig || cni.Msg == "") {
		t.Errorf("%v is no CNI error of code 7", err)
	}
}

// feasible asserts that a plan can be carried out.
func feasible(t *testing.T, plan []Delegate) {
	t.Helper()
	limits, total, taken := DefaultLimits(), 0, map[string]bool{}
	for _, d := range plan {
		if total += len(d.Config); len(d.Config) > limits.ConfigLimit || total > limits.PlanLimit {
			t.Errorf("%d bytes of configuration, %d together, were accepted", len(d.Config), total)
		}
		if err := CheckInterfaceName(d.Interface); err != nil || taken[d.Interface] {
			t.Errorf("interface name %q was accepted: %v, taken: %v", d.Interface, err, taken[d.Interface])
		}
		taken[d.Interface] = true
		list, err := libcni.NetworkConfFromBytes(d.Config)
		if err != nil || list.Name != d.Network || len(list.Plugins) == 0 {
			t.Fatalf("libcni reads %s as %+v: %v", d.Config, list, err)
		}
		if utils.ValidateNetworkName(d.Network) != nil {
			t.Errorf("network name %q was accepted", d.Network)
		}
		for _, p := range list.Plugins {
			if p.Network.Type == "" || strings.ContainsAny(p.Network.Type+p.Network.IPAM.Type, "/\x00") || p.Network.Type == ".." || p.Network.IPAM.Type == ".." {
				t.Errorf("types %q, %q were accepted", p.Network.Type, p.Network.IPAM.Type)
			}
		}
	}
}
