// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

func TestParseSelections(t *testing.T) {
	tests := map[string]struct {
		annotation string
		want       []Selection
	}{
		"blank":        {" \n", nil},
		"empty list":   {"[]", nil},
		"name":         {"a", []Selection{{Name: "a", Namespace: "ns"}}},
		"comma list":   {" x/a , b@eth1,\n y / c @ e2 ", []Selection{{Name: "a", Namespace: "x"}, {Name: "b", Namespace: "ns", InterfaceRequest: "eth1"}, {Name: "c", Namespace: "y", InterfaceRequest: "e2"}}},
		"json":         {`[{"name":"a"}, {"name":"b","namespace":"x","interface":"e","unknown":[1]}]`, []Selection{{Name: "a", Namespace: "ns"}, {Name: "b", Namespace: "x", InterfaceRequest: "e"}}},
		"old key":      {`[{"name":"a","interfaceRequest":"e"}]`, []Selection{{Name: "a", Namespace: "ns", InterfaceRequest: "e"}}},
		"claim":        {`[{"name":"a","ipam-claim-reference":"c"}]`, []Selection{{Name: "a", Namespace: "ns"}}},
		"null members": {`[{"name":"a","ips":null,"cni-args":null,"bandwidth":null}]`, []Selection{{Name: "a", Namespace: "ns"}}},
		"protocols": {`[{"name":"a","portMappings":[{"hostPort":1,"containerPort":65535},{"hostPort":2,"containerPort":2,"protocol":"Sctp"}]}]`,
			[]Selection{{Name: "a", Namespace: "ns", PortMappingsRequest: []PortMapping{
				{HostPort: 1, ContainerPort: 65535, Protocol: "tcp"}, {HostPort: 2, ContainerPort: 2, Protocol: "sctp"}}}}},
		"everything": {`[{"name":"a","ips":["10.0.0.1/24","fd00::1"],"mac":"02:00:00:00:00:01","infiniband-guid":"c2:11:22:33:44:55:66:77",
			"bandwidth":{"ingressRate":10000000000,"ingressBurst":2,"egressRate":3,"egressBurst":4},
			"portMappings":[{"hostPort":80,"containerPort":8080,"protocol":"tcp","hostIP":"10.1.1.1"}],
			"deviceID":"0000:00:1f.0","cni-args":{"big":12345678901234567890,"o":{"x":"y"}},"default-route":["10.0.0.254","fd00::ff"]}]`,
			[]Selection{{Name: "a", Namespace: "ns", IPRequest: []string{"10.0.0.1/24", "fd00::1"}, MacRequest: "02:00:00:00:00:01",
				InfinibandGUIDRequest: "c2:11:22:33:44:55:66:77",
				BandwidthRequest:      &Bandwidth{IngressRate: 10000000000, IngressBurst: 2, EgressRate: 3, EgressBurst: 4},
				PortMappingsRequest:   []PortMapping{{HostPort: 80, ContainerPort: 8080, Protocol: "tcp", HostIP: "10.1.1.1"}},
				DeviceID:              "0000:00:1f.0",
				CNIArgs:               map[string]any{"big": json.Number("12345678901234567890"), "o": map[string]any{"x": "y"}},
				GatewayRequest:        []net.IP{net.ParseIP("10.0.0.254"), net.ParseIP("fd00::ff")}}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSelections(tt.annotation, "ns")
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// expectInvalid checks for code 7 and that the message quotes the part at fault.
func expectInvalid(t *testing.T, err error, parts ...string) {
	t.Helper()
	var own *types.Error
	if !errors.As(err, &own) || own.Code != types.ErrInvalidNetworkConfig {
		t.Fatalf("got %v, want a CNI error with code 7", err)
	}
	for _, part := range parts {
		if !strings.Contains(own.Msg, part) {
			t.Errorf("%q does not say %q", own.Msg, part)
		}
	}
}

func TestParseSelectionsRefuses(t *testing.T) {
	tests := map[string]struct{ annotation, quotes string }{
		"upper case":        {"a,Bad", `"Bad"`},
		"underscore":        {"a_b", `"a_b"`},
		"two slashes":       {"a/b/c", `"b/c"`},
		"empty element":     {"a,,b", `"a,,b"`},
		"trailing comma":    {"a,", `"a,"`},
		"no namespace":      {"/a", `"/a"`},
		"no name":           {"x/", `"x/"`},
		"bad namespace":     {"x.y/a", `"x.y"`},
		"no interface":      {"a@", `"a@"`},
		"two interfaces":    {"b,a@b@c", `"a@b@c"`},
		"long interface":    {"a@abcdefghijklmnop", `"abcdefghijklmnop"`},
		"interface space":   {"a@b c", `"b c"`},
		"interface slash":   {`[{"name":"a","interface":"b/c"}]`, `"b/c"`},
		"interface dots":    {`[{"name":"a","interface":".."}]`, `".."`},
		"not JSON":          {`[{"name":"a"},{"name":}]`, `"name":`},
		"cut short":         {`[{"name":"a"`, `{"name":"a"`},
		"object":            {`{"name":"a"}`, `{"name":"a"}`},
		"null":              {`[null]`, "null"},
		"string":            {`["a"]`, `"a"`},
		"JSON without name": {`[{"namespace":"x"}]`, `"x/"`},
		"JSON name":         {`[{"name":"a/b"}]`, `"a/b"`},
		"path as name":      {`[{"name":"../../etc"}]`, `"../../etc"`},
		"name no string":    {`[{"name":3}]`, "name: a JSON number"},
		"mac":               {`[{"name":"a","mac":"02:00:zz"}]`, `"02:00:zz"`},
		"guid":              {`[{"name":"a","infiniband-guid":"c2"}]`, `"c2"`},
		"ip":                {`[{"name":"a","ips":["10.0.0.1","10.0.0.300"]}]`, `"10.0.0.300"`},
		"prefix":            {`[{"name":"a","ips":["10.0.0.1/33"]}]`, `"10.0.0.1/33"`},
		"ips no list":       {`[{"name":"a","ips":"10.0.0.1"}]`, "ips: a JSON string"},
		"bandwidth":         {`[{"name":"a","bandwidth":{"ingressRate":-1}}]`, "bandwidth.ingressRate"},
		"host port":         {`[{"name":"a","portMappings":[{"hostPort":70000,"containerPort":1}]}]`, "70000"},
		"no host port":      {`[{"name":"a","portMappings":[{"containerPort":1}]}]`, "hostPort 0"},
		"protocol":          {`[{"name":"a","portMappings":[{"hostPort":1,"containerPort":1,"protocol":"icmp"}]}]`, `"icmp"`},
		"no port":           {`[{"name":"a","portMappings":[]}]`, "portMappings"},
		"null port":         {`[{"name":"a","portMappings":[null]}]`, "hostPort 0"},
		"rate 0":            {`[{"name":"a","bandwidth":{"egressRate":0}}]`, "egressRate 0"},
		"burst 0":           {`[{"name":"a","bandwidth":{"ingressRate":1,"ingressBurst":0}}]`, "ingressBurst 0"},
		"lonely burst":      {`[{"name":"a","bandwidth":{"ingressRate":1,"egressBurst":7}}]`, "egressBurst 7"},
		"no rate":           {`[{"name":"a","bandwidth":{}}]`, "bandwidth"},
		"no ips":            {`[{"name":"a","ips":[]}]`, "ips"},
		"ips and claim":     {`[{"name":"a","ips":["10.0.0.1"],"ipam-claim-reference":"vm.blue"}]`, `"vm.blue"`},
		"long mac":          {`[{"name":"a","mac":"02:00:00:00:00:00:00:01"}]`, `"02:00:00:00:00:00:00:01"`},
		"short guid":        {`[{"name":"a","infiniband-guid":"02:00:00:00:00:01"}]`, `"02:00:00:00:00:01"`},
		"container port":    {`[{"name":"a","portMappings":[{"hostPort":1}]}]`, "containerPort 0"},
		"host IP":           {`[{"name":"a","portMappings":[{"hostPort":1,"containerPort":1,"hostIP":"x"}]}]`, `"x"`},
		"cni-args":          {`[{"name":"a","cni-args":["x"]}]`, "cni-args"},
		"default route":     {`[{"name":"a","default-route":["10.0.0.1/8"]}]`, `"10.0.0.1/8"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSelections(tt.annotation, "ns")
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			expectInvalid(t, err, tt.quotes)
		})
	}
}

// A DEL without a record finds what another daemon accepted.
func TestRecallSelections(t *testing.T) {
	for _, request := range []string{
		`"portMappings":[{"hostPort":0,"containerPort":1,"protocol":"icmp"}]`, `"portMappings":[]`, `"bandwidth":{"egressBurst":1}`, `"ips":[]`,
		`"ips":["10.0.0.1"],"ipam-claim-reference":"c"`, `"mac":"02:00:00:00:00:00:00:01"`,
	} {
		annotation := `[{"name":"a",` + request + `},{"name":"b"}]`
		all, err := recallSelections(annotation, "ns")
		if err != nil || len(all) != 2 {
			t.Errorf("%s: %+v, %v", request, all, err)
		}
		if _, err := ParseSelections(annotation, "ns"); err == nil {
			t.Errorf("%s is accepted at ADD", request)
		}
	}
}

func TestParseSelectionsQuotesLittleOfMuch(t *testing.T) {
	much, digits := strings.Repeat("é", 100_000), strings.Repeat("7", 100_000)
	for _, annotation := range []string{
		much + "/", much + "@" + much, `[{"name":"` + much + `"}]`, `[{"name":"a","interface":"` + much + `"}]`,
		`[{"name":"a","mac":"` + much + `"}]`, `[{"name":"a","infiniband-guid":"` + much + `"}]`, `[{"name":"a","ips":["` + much + `"]}]`,
		`[{"name":"a","ips":["10.0.0.1"],"ipam-claim-reference":"` + much + `"}]`, `[{"name":"a","default-route":["` + much + `"]}]`,
		`[{"name":"a","portMappings":[{"hostPort":` + digits + `}]}]`, `[{"name":"a","bandwidth":{"ingressRate":` + digits + `}}]`,
		`[{"name":"a","portMappings":[{"hostPort":1,"containerPort":1,"protocol":"` + much + `"}]}]`,
	} {
		_, err := ParseSelections(annotation, "ns")
		expectInvalid(t, err)
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("the error of %s has %d bytes", annotation[:60], len(err.Error()))
		}
	}
}
