// SPDX-License-Identifier: Apache-2.0

package quick_test

import (
	"testing"

	"github.com/containernetworking/cni/pkg/utils"

	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// Configurations like those that the daemon writes for a runtime must be usual.
func TestUsualConfs(t *testing.T) {
	for conf, want := range map[string]string{
		`{"cniVersion":"1.1.0","name":"multus-cni-network","type":"thicket-shim","capabilities":{"portMappings":true}}`: "/run/multus/multus.sock",
		`{"cniVersion":"0.4.0","name":"n","daemonSocketDir":"/a/b/"}`:                                                   "/a/b/multus.sock",
		"\n{ \"cniVersion\" : \"1.0.0\" , \"name\" : \"n\" , \"daemonSocketDir\" : \"/\" }\n":                           "/multus.sock",
	} {
		if socket, usual := quick.UsualConf([]byte(conf), "CHECK"); !usual || socket != want {
			t.Errorf("%s: %s, %v", conf, socket, usual)
		}
	}
}

func TestIsPlain(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "0-._Z": true, "": false, "-a": false, ".": false, "a b": false, "é": false, "a/b": false, "a\n": false} {
		if quick.IsPlain(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
		if want && (utils.ValidateContainerID(name) != nil || utils.ValidateInterfaceName(name) != nil) {
			t.Errorf("%q is plain, and the CNI library refuses it", name)
		}
	}
}
