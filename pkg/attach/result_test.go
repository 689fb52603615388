// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/containernetworking/cni/pkg/types/create"
)

func TestEncodableIsTheResult(t *testing.T) {
	for _, text := range []string{
		`{"cniVersion":"1.1.0"}`,
		`{"cniVersion":"1.1.0","interfaces":[{"name":"a","mtu":1500,"socketPath":"/s"},{"name":"b","sandbox":"/n"}],
			"ips":[{"interface":1,"address":"10.1.2.3/24","gateway":"10.1.2.1"},{"address":"fd00::1/64"}],
			"routes":[{"dst":"0.0.0.0/0"},{"dst":"fd01::/64","gw":"fd00::2","mtu":9000,"scope":0}],"dns":{"nameservers":["1.1.1.1"]}}`,
		`{"cniVersion":"1.0.0","dns":{"options":["<&>"]}}`,
		`{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.1.2.3/24"}]}`,
		`{"cniVersion":"0.2.0","ip4":{"ip":"10.1.2.3/24"}}`,
	} {
		result, err := create.CreateFromBytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := asWritten(t, Encodable(result)), asWritten(t, result); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v; want %v", got, want)
		}
	}
}

// asWritten is what a reader finds in JSON, whatever the order of its keys.
func asWritten(t *testing.T, v any) (read any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}
