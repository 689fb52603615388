// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
)

// TestRequestsOfDelegatesAreNotCarriedOut: another make's shim hands on the
// variable by which the daemon knows its own delegates (SEC-09).
func TestRequestsOfDelegatesAreNotCarriedOut(t *testing.T) {
	d := &Daemon{config: DefaultConfig(), flight: newFlight()}
	serve := d.serve(func(context.Context, string, *attach.Request, *api.Request) (*types100.Result, error) {
		t.Error("it was carried out")
		return nil, nil
	})
	for command, status := range map[string]int{"ADD": 400, "CHECK": 400, "STATUS": 400, "DEL": 200, "GC": 200} {
		body, err := json.Marshal(api.Request{Env: map[string]string{"CNI_COMMAND": command, api.DelegateVariable: "/run/multus/multus.sock"}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		serve.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/cni", strings.NewReader(string(body))))
		if w.Code != status {
			t.Errorf("%s: %d %s, want %d", command, w.Code, fmt.Sprint(w.Body), status)
		}
	}
}
