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
