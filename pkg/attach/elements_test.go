// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"encoding/json"
	"net"
	"reflect"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

func TestElementsOf(t *testing.T) {
	const netns = "/run/netns/pod"
	for name, tt := range map[string]struct {
		version, result string
		isDefault       bool
		want            []cluster.NetworkStatus
	}{
		"an interface under another name of the sandbox": {version: "1.0.0",
			result: `{"interfaces":[{"name":"eth0","sandbox":"/proc/7/ns/net"}],"ips":[{"interface":0,"address":"192.0.2.1/24"}]}`,
			want:   []cluster.NetworkStatus{{Interface: "eth0", IPs: []string{"192.0.2.1"}}}},
		"what is not the sandbox's own": {version: "1.0.0", isDefault: true,
			result: `{"interfaces":[{"name":"dummy0","sandbox":"12"},{"name":"eth0","sandbox":"/run/netns/pod"}],"ips":[{"interface":0,"address":"192.0.2.1/24","gateway":"192.0.2.254"}]}`,
			want:   []cluster.NetworkStatus{{Interface: "eth0", Default: true}}},
		"addresses of nobody in particular": {version: "1.0.0",
			result: `{"interfaces":[{"name":"a","sandbox":"/run/netns/pod"},{"name":"b","sandbox":"/run/netns/pod"}],"ips":[{"address":"192.0.2.1/24"}]}`,
			want:   []cluster.NetworkStatus{{Interface: "a"}, {Interface: "b", IPs: []string{"192.0.2.1"}}}},
		"no interface": {version: "1.0.0", isDefault: true, result: `{"interfaces":[{"name":"cali1"}],"ips":[{"address":"192.0.2.1/32"}]}`,
			want: []cluster.NetworkStatus{{IPs: []string{"192.0.2.1"}, Default: true}}},
		"a version that cannot name one": {version: "0.2.0", result: `{"ips":[{"address":"192.0.2.1/24"}]}`,
			want: []cluster.NetworkStatus{{Interface: "net1", IPs: []string{"192.0.2.1"}}}},
		"nothing": {version: "0.2.0", result: `{}`, want: []cluster.NetworkStatus{{}}},
		"null elements and an index that leads nowhere": {version: "1.0.0", isDefault: true,
			result: `{"interfaces":[null,{"name":"eth0","sandbox":"/run/netns/pod"}],"ips":[null,{"interface":9,"address":"192.0.2.1/24","gateway":"192.0.2.254"}],"routes":[null]}`,
			want:   []cluster.NetworkStatus{{Interface: "eth0", Default: true}}},
	} {
		var result types100.Result
		if err := json.Unmarshal([]byte(tt.result), &result); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		a := &ledger.Attachment{Interface: "net1", Default: tt.isDefault, Config: `{"cniVersion":"` + tt.version + `"}`}
		if got := elementsOf(a, netns, &result); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestLinkTo(t *testing.T) {
	const netns = "/run/netns/pod"
	for name, tt := range map[string]struct{ result, gateway, want string }{
		"by its subnet": {`{"interfaces":[{"name":"host"},{"name":"a","sandbox":"/run/netns/pod"},{"name":"b","sandbox":"/run/netns/pod"}],
			"ips":[{"interface":1,"address":"10.1.0.2/24"},{"interface":2,"address":"10.2.0.2/24"}]}`, "10.2.0.1", "b"},
		"nobody's subnet": {`{"interfaces":[{"name":"a","sandbox":"/run/netns/pod"},{"name":"b","sandbox":"/run/netns/pod"}]}`, "10.2.0.1", "a"},
		"no interface":    {`{"ips":[{"address":"10.2.0.2/24"}]}`, "10.2.0.1", "net1"},
	} {
		var result types100.Result
		if err := json.Unmarshal([]byte(tt.result), &result); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := linkTo(&ledger.Attachment{Interface: "net1"}, netns, &result, net.ParseIP(tt.gateway)); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}
