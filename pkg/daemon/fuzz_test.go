// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/utils"

	"github.com/thicket-cni/thicket/pkg/attach"
)

// FuzzRequest posts any body: it is refused with a CNI error of the 4xx kind,
// or what comes out of it is safe to make file names and variables of (EP-08).
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"env":{"CNI_COMMAND":"ADD","CNI_CONTAINERID":"c1","CNI_NETNS":"/run/netns/a","CNI_IFNAME":"eth0",` +
		`"CNI_ARGS":"IgnoreUnknown=1;K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;A=b=c"},"config":"eyJydW50aW1lQ29uZmlnIjp7InBvcnRNYXBwaW5ncyI6W119fQ=="}`))
	f.Add([]byte(`{"env":{"CNI_COMMAND":"DEL","CNI_CONTAINERID":"../../etc","CNI_IFNAME":"a/b"}}`))
	f.Add([]byte(`{"env":{"CNI_COMMAND":"GC"},"config":"e30=","interfaceAttributes":{"ips":["10.0.0.1/24"],"mac":"x","cni-args":null}}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"env":{"CNI_COMMAND":"STATUS"},"config":"bnVsbA=="}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/cni", strings.NewReader(string(body)))
		req, err := readRequest(httptest.NewRecorder(), r, 1<<20)
		if err != nil {
			clientError(t, err)
			return
		}
		command, parsed, err := validate(req)
		if err != nil {
			clientError(t, err)
			return
		}
		if _, known := needs[command]; !known {
			t.Errorf("command %q was accepted", command)
		}
		if id := parsed.ContainerID; id != "" && (utils.ValidateContainerID(id) != nil || filepath.Base(id) != id) {
			t.Errorf("container id %q was accepted", id)
		}
		if i := parsed.Interface; i != "" && utils.ValidateInterfaceName(i) != nil {
			t.Errorf("interface name %q was accepted", i)
		}
	})
}

func clientError(t *testing.T, err error) {
	t.Helper()
	var a *answer
	if !errors.As(err, &a) || a.status < 400 || a.status > 499 || a.err == nil || a.err.Msg == "" {
		t.Errorf("%v is no client's error that says what is wrong", err)
	}
}

// FuzzArgs splits any CNI_ARGS: what is accepted can be put together again, and
// no pair was invented, lost or cut at a later '=' (EP-11).
func FuzzArgs(f *testing.F) {
	for _, seed := range []string{"", ";;", "IgnoreUnknown=1;K8S_POD_NAME=p;X=a=b==", "K8S_POD_UID=u", "=x", "a", "IgnoreUnknown=true;IgnoreUnknown=0;A=", "A=\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r attach.Request
		if err := parseArgs(text, &r); err != nil {
			clientError(t, err)
			return
		}
		for _, pair := range r.Args {
			if pair[0] == "IgnoreUnknown" {
				continue
			}
			if whole := pair[0] + "=" + pair[1]; !strings.Contains(";"+text+";", ";"+whole+";") {
				t.Errorf("%q came out of %q", whole, text)
			}
			if strings.ContainsAny(pair[0], "=;\x00") || strings.ContainsAny(pair[1], ";\x00") {
				t.Errorf("pair %q of %q", pair, text)
			}
		}
	})
}

// FuzzConfig reads any configuration: it is accepted with absolute paths, or
// the error says which file is wrong.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"clusterNetwork":"default","cluster":{"directory":"/d"},"delegateTimeout":"60s","requestLimit":4096}`))
	f.Add([]byte(`{"clusterNetwork":1}`))
	f.Add([]byte(`{"delegateTimeout":"x"}`))
	f.Add([]byte(`{"binDir":"a:b","cluster":{"directory":"/d"},"clusterNetwork":"n","unknown":[],"systemNamespaces":[""]}`))
	f.Add([]byte("{\n\"socketDir\": \"\"\n} x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := ParseConfig(data, "daemon.json")
		if err != nil {
			if !strings.Contains(err.Error(), "daemon.json") {
				t.Errorf("%v does not name the file", err)
			}
			return
		}
		for _, path := range append(filepath.SplitList(c.BinDir), c.SocketDir, c.CNIDir, c.PendingDir) {
			if !filepath.IsAbs(path) {
				t.Errorf("the path %q was accepted", path)
			}
		}
		if c.DelegateTimeout <= 0 || c.RequestLimit <= 0 {
			t.Errorf("limits %v, %d were accepted", c.DelegateTimeout, c.RequestLimit)
		}
	})
}
