// SPDX-License-Identifier: Apache-2.0

package network

import (
	"slices"
	"strings"
	"testing"
)

func TestPluginTypes(t *testing.T) {
	for config, want := range map[string][]string{
		`{"type":"bridge","ipam":{"type":"host-local"}}`:                         {"bridge", "host-local"},
		`{"plugins":[{"type":"a"},{"TYPE":"b","x":["type","c"]}]}`:               {"a", "b"},
		`{"type":{"type":"deep"},"list":[{"delegate":{"type":"thicket-shim"}}]}`: {"deep", "thicket-shim"},
		`{"type":"thicket\u002dshim","type":"bridge"}`:                           {"thicket-shim", "bridge"},
		`{"name":"type","a":"b"}`:                                                nil,
		`{"type":7,"n":{"type":null}}`:                                           nil,
		strings.Repeat(`{"a":`, 100) + `{"type":"x"}` + strings.Repeat(`}`, 100): {"x"},
		`["type","a"]`: nil,
	} {
		got, err := PluginTypes([]byte(config))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", config, got, err, want)
		}
	}
}

func TestShimIsRefusedAsADelegate(t *testing.T) {
	for _, config := range []string{
		`{"name":"n","type":"thicket-shim"}`,
		`{"name":"n","plugins":[{"type":"bridge"},{"type":"multus-shim"}]}`,
		`{"name":"n","type":"bridge","ipam":{"type":"thicket-shim"}}`,
		`{"name":"n","type":"flannel","delegate":{"Type":"multus"}}`,
	} {
		if _, err := NewDelegate([]byte(config), "net1", nil); err == nil || !strings.Contains(err.Error(), "shim") {
			t.Errorf("%s: got %v", config, err)
		}
	}
}
