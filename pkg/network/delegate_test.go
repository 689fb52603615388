// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/containernetworking/cni/libcni"
)

func TestNewDelegateKeepsConfig(t *testing.T) {
	tests := map[string]struct {
		config string
		sel    *Selection
		want   string
	}{
		"list as it is": {
			` {"name":"n", "cniVersion":"1.0.0","x":1.50,"disableCheck":true,"plugins":[ {"type":"t","big":12345678901234567890,"html":"<&>"}]} `, nil,
			`{"name":"n", "cniVersion":"1.0.0","x":1.50,"disableCheck":true,"plugins":[ {"type":"t","big":12345678901234567890,"html":"<&>"}]}`},
		"single": {
			`{"type":"t","name":"n","cniVersion":"0.3.1","big":12345678901234567890,"html":"<&>","disableCheck":true}`, nil,
			`{"cniVersion":"0.3.1","name":"n","plugins":[{"type":"t","name":"n","cniVersion":"0.3.1","big":12345678901234567890,"html":"<&>","disableCheck":true}]}`},
		"single without name and version": {
			`{"type":"t"}`, &Selection{Name: "d", Namespace: "ns"},
			`{"name":"d","plugins":[{"type":"t"}]}`},
		"list without name": {
			`{"cniVersion":"1.1.0","disableGC":true,"plugins":[{"type":"t","f":[1.50]},{"type":"u"}]}`, &Selection{Name: "d", Namespace: "ns"},
			`{"cniVersion":"1.1.0","disableGC":true,"name":"d","plugins":[{"type":"t","f":[1.50]},{"type":"u"}]}`},
		"cni-args": {
			`{"name":"n","plugins":[{"type":"t","big":12345678901234567890,"args":{"other":"<","cni":{"a":1,"keep":2.0}}},{"type":"u"},{"type":"v","args":null}]}`,
			&Selection{CNIArgs: map[string]any{"a": json.Number("98765432109876543210"), "b": "&"}},
			`{"name":"n","plugins":[{"args":{"cni":{"a":98765432109876543210,"b":"&","keep":2.0},"other":"<"},"big":12345678901234567890,"type":"t"},` +
				`{"args":{"cni":{"a":98765432109876543210,"b":"&"}},"type":"u"},{"args":{"cni":{"a":98765432109876543210,"b":"&"}},"type":"v"}]}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := NewDelegate([]byte(tt.config), "net1", tt.sel)
			if err != nil {
				t.Fatal(err)
			}
			if string(d.Config) != tt.want {
				t.Errorf("got  %s\nwant %s", d.Config, tt.want)
			}
			list, err := libcni.NetworkConfFromBytes(d.Config)
			if err != nil || list.Name != d.Network {
				t.Errorf("libcni reads %+v, %v; the delegate is of %q", list, err, d.Network)
			}
		})
	}
}

func TestNewDelegateNames(t *testing.T) {
	d, err := NewDelegate([]byte(`{"name":"n","type":"t"}`), "e", &Selection{Name: "d", Namespace: "ns"})
	if err != nil {
		t.Fatal(err)
	}
	if d.Network != "n" || d.Definition != "ns/d" || d.Interface != "e" || d.Default {
		t.Errorf("got %+v", d)
	}
	if d, err = NewDelegate([]byte(`{"name":"n","type":"t"}`), "e", nil); err != nil || d.Definition != "n" {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestNewDelegateRefuses(t *testing.T) {
	tests := map[string]struct{ config, says string }{
		"nothing":            {``, "not a JSON object"},
		"no JSON":            {`{"name":"n",}`, "not a JSON object"},
		"array":              {`[]`, "not a JSON object"},
		"null":               {`null`, "null"},
		"neither":            {`{"name":"n"}`, "neither a type nor plugins"},
		"no plugins":         {`{"name":"n","plugins":[]}`, "neither a type nor plugins"},
		"plugins no list":    {`{"name":"n","plugins":{}}`, "plugins"},
		"plugin no object":   {`{"name":"n","plugins":["t"]}`, "plugin"},
		"plugin null":        {`{"name":"n","plugins":[null]}`, "missing 'type'"},
		"no type":            {`{"name":"n","plugins":[{"type":"t"},{"x":1}]}`, "missing 'type'"},
		"type no string":     {`{"name":"n","type":3}`, "type"},
		"path":               {`{"name":"n","type":"../evil"}`, `"../evil"`},
		"other case":         {`{"name":"n","plugins":[{"Type":"/bin/sh"}]}`, `"/bin/sh"`},
		"dots":               {`{"name":"n","type":".."}`, `".."`},
		"ipam path":          {`{"name":"n","type":"t","ipam":{"type":"../../bin/sh"}}`, "ipam.type"},
		"no name":            {`{"type":"t"}`, "no name"},
		"empty name":         {`{"name":"","type":"t"}`, "name"},
		"name with a path":   {`{"name":"../n","type":"t"}`, `"../n"`},
		"name no string":     {`{"name":3,"type":"t"}`, "name"},
		"version":            {`{"name":"n","type":"t","cniVersion":"one"}`, `"one"`},
		"version no string":  {`{"name":"n","type":"t","cniVersion":1}`, "cniVersion"},
		"disableCheck":       {`{"name":"n","disableCheck":3,"plugins":[{"type":"t"}]}`, "disableCheck"},
		"args no object":     {`{"name":"n","type":"t","args":[1]}`, "args"},
		"args.cni no object": {`{"name":"n","type":"t","args":{"cni":"x"}}`, "args.cni"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewDelegate([]byte(tt.config), "net1", &Selection{CNIArgs: map[string]any{"a": 1}})
			expectInvalid(t, err, "the network configuration", tt.says)
		})
	}
	good := []byte(`{"name":"n","type":"t"}`)
	_, err := NewDelegate(good, "a/b", nil)
	expectInvalid(t, err, `"a/b"`)
	_, err = new(Planner).Plug(t.Context(), good, "net1", &Selection{MacRequest: "zz"}, 0)
	expectInvalid(t, err, `"zz"`)
	_, err = NewDelegate([]byte(`{"type":"a/b"}`), "net1", &Selection{Name: "d", Namespace: "ns"})
	expectInvalid(t, err, "network definition ns/d", `"a/b"`)
}

func TestCapabilityArgs(t *testing.T) {
	runtime := map[string]any{"portMappings": "runtime's", "ips": "runtime's", "dns": "runtime's"}
	sel := &Selection{IPRequest: []string{"10.0.0.1"}, MacRequest: "02:00:00:00:00:01", InfinibandGUIDRequest: "02:00:00:00:00:02:00:03",
		BandwidthRequest: &Bandwidth{IngressRate: 1}, DeviceID: "d"}
	want := map[string]any{"portMappings": "runtime's", "dns": "runtime's", "ips": sel.IPRequest, "mac": sel.MacRequest,
		"infinibandGUID": sel.InfinibandGUIDRequest, "bandwidth": sel.BandwidthRequest, "deviceID": "d"}
	if got := sel.capabilityArgs(runtime); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(runtime) != 3 || runtime["ips"] != "runtime's" {
		t.Errorf("the runtime's own map was changed: %v", runtime)
	}
	sel = &Selection{PortMappingsRequest: []PortMapping{{HostPort: 1, ContainerPort: 2}}}
	got, err := json.Marshal(sel.capabilityArgs(nil))
	if err != nil || string(got) != `{"portMappings":[{"hostPort":1,"containerPort":2}]}` {
		t.Errorf("got %s, %v", got, err)
	}
}
