// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/containernetworking/cni/pkg/utils"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// FuzzUsualConf compares package quick with this one and with skel: a configuration that is usual is one that they take,
// without a log, and means the same socket to them.
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
			conf, err := parseShimConf(stdin)
			if err != nil {
				t.Fatalf("%q: %v", stdin, err)
			}
			if conf.LogFile != "" || conf.LogToStderr || SocketPath(conf.MultusSocketDir) != socket {
				t.Errorf("%q is usual, with the socket %s; here it is %+v", stdin, socket, conf)
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
