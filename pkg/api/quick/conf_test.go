// SPDX-License-Identifier: Apache-2.0

package quick_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containernetworking/cni/pkg/utils"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// FuzzUsualConf compares with encoding/json and skel: a configuration that is usual is one that they take, and means the
// same to them.
func FuzzUsualConf(f *testing.F) {
	for _, conf := range []string{
		`{"cniVersion":"1.1.0","name":"n","type":"t","daemonSocketDir":"/run/x","logToStderr":false,"logFile":"","logLevel":"debug","cniDir":"/c","pendingDir":"/p","x":{"name":1}}`,
		`{"cniVersion":"0.3.1","name":"n","daemonSocketDir":"/run/x/"}`,
		`{"cniVersion":"0.3.1","name":"n","Name":"m"}`,
		`{"cniVersion":"0.3.1","name":"n","name":"-"}`,
		`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":"rel"}`,
		`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":"/a/../b"}`,
		`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":"//a"}`,
		`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":"/"}`,
		`{"cniVersion":"1.0.0","name":"n","logToSTDERR":1}`,
		`{"cniVersion":"1.0.0","name":"n","logToStderr":true}`,
		`{"cniVersion":"1.0.0","name":"n","logFile":"/l"}`,
		`{"cniVerſion":"1.0.0","name":"n"}`,
		`{"cniVersion":"1.0.0","name":7,"name":"n","type":"t"}`,
		`{"cniVersion":"1.0.0","name":"n","logFile":5,"logFile":"/x"}`,
		`{"cniVersion":"1.0.0","name":"n","cniDir":"a\u0000b"}`,
		`{"cniVersion":"1.0.0","name":"n","x":1,"x":2} `,
		`{"cniVersion":"1.0.0","name":"n"}{}`, `[]`, `null`, ``, `{"name":7}`, `{`,
	} {
		f.Add([]byte(conf))
	}
	f.Fuzz(func(t *testing.T, stdin []byte) {
		for _, command := range []string{"ADD", "CHECK"} {
			socket, usual := quick.UsualConf(stdin, command)
			if !usual {
				continue
			}
			var conf struct {
				api.ShimNetConf
				CNIDir     string `json:"cniDir"`
				PendingDir string `json:"pendingDir"`
			}
			if err := json.Unmarshal(stdin, &conf); err != nil {
				t.Fatalf("%q: %v", stdin, err)
			}
			if conf.MultusSocketDir == "" {
				conf.MultusSocketDir = "/run/multus/"
			}
			if conf.LogFile != "" || conf.LogToStderr || api.SocketPath(conf.MultusSocketDir) != socket || len(socket) > 107 {
				t.Errorf("%q is usual, with the socket %s", stdin, socket)
			}
			for _, dir := range []string{conf.MultusSocketDir, conf.CNIDir, conf.PendingDir} {
				if dir != "" && !filepath.IsAbs(dir) {
					t.Errorf("%q is usual, with the path %q", stdin, dir)
				}
			}
			acceptedBySkel(t, stdin, command)
		}
	})
}

// acceptedBySkel asks of a configuration what skel does.
func acceptedBySkel(t *testing.T, stdin []byte, command string) {
	t.Helper()
	var named struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(stdin, &named); err != nil || utils.ValidateNetworkName(named.Name) != nil {
		t.Errorf("%q has the name %q, %v", stdin, named.Name, err)
	}
	v, err := (&cniversion.ConfigDecoder{}).Decode(stdin)
	if err != nil || !slices.Contains(cniversion.All.SupportedVersions(), v) {
		t.Errorf("%q has the version %q, %v", stdin, v, err)
	}
	if atLeast, err := cniversion.GreaterThanOrEqualTo(v, "0.4.0"); command == "CHECK" && (err != nil || !atLeast) {
		t.Errorf("CHECK with version %q, %v", v, err)
	}
}

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
