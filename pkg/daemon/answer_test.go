// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
)

// A shim that says so gets the document that it prints, in each version; every
// other client gets what Multus' do (EP-03).
func TestResultIsAnsweredAsTheClientLikesIt(t *testing.T) {
	result := func() *types100.Result {
		r := &types100.Result{}
		if err := json.Unmarshal([]byte(`{"cniVersion":"1.1.0","interfaces":[{"name":"eth0"}],"ips":[{"interface":0,"address":"10.1.2.3/24"}]}`), r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, row := range []struct{ path, accept, version, want string }{
		{"/cni", "", "1.0.0", "application/json"},
		{"/cni", "*/*", "1.0.0", "application/json"},
		{"/cni", "application/json", "0.4.0", "application/json"},
		{"/cni", api.PrintedResult + ", application/json", "7.0.0", "application/json"},
		{"/delegate", api.PrintedResult, "1.0.0", "application/json"},
		{"/cni", api.PrintedResult + ", application/json", "0.2.0", api.PrintedResult},
		{"/cni", "application/json," + api.PrintedResult, "0.4.0", api.PrintedResult},
		{"/cni", api.PrintedResult, "1.1.0", api.PrintedResult},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, row.path, nil)
		r.Header.Set("Accept", row.accept)
		w := httptest.NewRecorder()
		writeResult(w, r, row.version, result())
		if kind := w.Header().Get("Content-Type"); w.Code != http.StatusOK || kind != row.want {
			t.Errorf("%+v: %d %s", row, w.Code, kind)
			continue
		}
		if row.want != api.PrintedResult {
			var answer api.Response
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Result == nil || answer.Result.CNIVersion != "1.1.0" {
				t.Errorf("%+v: %s, %v", row, w.Body, err)
			}
			continue
		}
		if printed, err := version.NewResult(row.version, w.Body.Bytes()); err != nil || printed.Version() != row.version {
			t.Errorf("%+v: %s, %v", row, w.Body, err)
		}
	}
}

// What the shim takes for the version is what the daemon takes for it.
func TestVersionOfAConfiguration(t *testing.T) {
	for config, want := range map[string]string{
		`{"cniVersion":"1.0.0"}`:                       "1.0.0",
		`{"cniVersion":"0.4.0","cniVersion":"1.0.0"}`:  "1.0.0",
		`{"cniVersion":"1.0.0","CNIVersion":null}`:     "1.0.0",
		`{"cniVersion":"1.0.0","cniVersion":null}`:     "1.0.0",
		`{"CNIVERSION":"1.0.0"}`:                       "1.0.0",
		`{"cniVersion":7,"runtimeConfig":{"mac":"a"}}`: "",
		`{"cniVersion":{"a":[]},"name":"n"}`:           "",
		`{"name":"n"}`:                                 "",
	} {
		r := &attach.Request{Config: []byte(config)}
		if err := readConfig(r); err != nil || r.Version != want {
			t.Errorf("%s: got %q, %v; want %q", config, r.Version, err, want)
		}
	}
}
