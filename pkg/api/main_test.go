// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/containernetworking/cni/pkg/utils"
	cniversion "github.com/containernetworking/cni/pkg/version"
)

var requests = []*Request{
	{Env: map[string]string{"CNI_COMMAND": "ADD", "CNI_ARGS": "K=a=b;L=\"<é>&\\\u2028\x7f\x00"}, Config: []byte(`{"a":"\u00e9"}`)},
	{Env: map[string]string{"A": "", "B": "\xff"}, Config: []byte{0, 255}},
	{Env: map[string]string{"A": "b"}},
	{Config: []byte("c")},
	{Env: map[string]string{"A": "b"}, Config: []byte("c"), InterfaceAttributes: &DelegateInterfaceAttributes{MacRequest: "m"}},
	{},
	nil,
}

func TestEncodeIsMarshal(t *testing.T) {
	for _, r := range requests {
		got, err := encode(r)
		want, wantErr := json.Marshal(r)
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v: got %s, %v; want %s, %v", r, got, err, want, wantErr)
		}
	}
	if got, err := encode(nil); err != nil || string(got) != "null" {
		t.Errorf("nil: got %s, %v", got, err)
	}
}

func FuzzEncodeIsMarshal(f *testing.F) {
	for _, r := range requests {
		if r != nil {
			for name, value := range r.Env {
				f.Add(name, value, r.Config)
			}
		}
	}
	f.Fuzz(func(t *testing.T, name, value string, config []byte) {
		r := &Request{Env: map[string]string{name: value, "CNI_COMMAND": "ADD"}, Config: config}
		got, err := encode(r)
		want, wantErr := json.Marshal(r)
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Errorf("got %s, %v; want %s, %v", got, err, want, wantErr)
		}
	})
}

// A configuration that is usual is one that skel and parseShimConf take, and means the same to them.
func FuzzUsualConf(f *testing.F) {
	for _, conf := range []string{
		`{"cniVersion":"1.1.0","name":"n","type":"t","daemonSocketDir":"/run/x","logToStderr":true,"logFile":"/l","logLevel":"debug","cniDir":"/c","pendingDir":"/p","x":{"name":1}}`,
		`{"cniVersion":"0.3.1","name":"n"}`,
		`{"cniVersion":"0.3.1","name":"n","Name":"m"}`,
		`{"cniVersion":"0.3.1","name":"n","name":"-"}`,
		`{"cniVersion":"1.0.0","name":"n","daemonSocketDir":"rel"}`,
		`{"cniVersion":"1.0.0","name":"n","logToSTDERR":1}`,
		`{"cniVerſion":"1.0.0","name":"n"}`,
		`{"cniVersion":"1.0.0","name":7,"name":"n","type":"t"}`,
		`{"cniVersion":"1.0.0","name":"n","logFile":5,"logFile":"/x"}`,
		`{"cniVersion":"1.0.0","name":"n","x":1,"x":2} `,
		`{"cniVersion":"1.0.0","name":"n"}{}`, `[]`, `null`, ``, `{"name":7}`,
	} {
		f.Add([]byte(conf))
	}
	f.Fuzz(func(t *testing.T, stdin []byte) {
		for _, command := range []string{"ADD", "CHECK"} {
			usual := usualConf(stdin, command)
			if usual == nil {
				continue
			}
			conf, err := parseShimConf(stdin)
			if err != nil || !reflect.DeepEqual(usual, conf) {
				t.Errorf("%s: %q is taken for %+v; it is %+v, %v", command, stdin, usual, conf, err)
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

func TestIsPlain(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "0-._Z": true, "": false, "-a": false, ".": false, "a b": false, "é": false, "a/b": false, "a\n": false} {
		if isPlain(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
		if want && (utils.ValidateContainerID(name) != nil || utils.ValidateInterfaceName(name) != nil) {
			t.Errorf("%q is plain, and the CNI library refuses it", name)
		}
	}
}
