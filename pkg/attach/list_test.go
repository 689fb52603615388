// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
)

// What a plugin reads differs from what libcni would hand it in the digits of
// its numbers and in nothing else (ADD-16, SEC-02).
func TestReadList(t *testing.T) {
	const config = `{"name":"n","cniVersion":"1.0.0","Plugins":[{"type":"other"}],"plugins":[
		{"type":"a","Type":"../b","vni":9007199254740993,"ipam":{"type":"c","Type":"../d"},"x":"<&>"},{"type":"b","n":[1.50,-2e3]}]}`
	list, err := readList([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	rounded, err := libcni.NetworkConfFromBytes([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	digits := strings.NewReplacer("9007199254740992", "9007199254740993", "[1.5,-2000]", "[1.50,-2e3]")
	for i, p := range list.Plugins {
		if want := digits.Replace(string(rounded.Plugins[i].Bytes)); string(p.Bytes) != want {
			t.Errorf("plugin %d reads\n%s, want\n%s", i+1, p.Bytes, want)
		}
	}
	if len(list.Plugins) != 2 {
		t.Errorf("%d plugins", len(list.Plugins))
	}
}
