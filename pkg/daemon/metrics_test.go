// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/attach"
)

// TestMetricsSayWhatWasServed reads the page as Prometheus would; Multus'
// counter keeps its name and labels, which dashboards know.
func TestMetricsSayWhatWasServed(t *testing.T) {
	m := newMetrics(admission.New(admission.Options{}), &attach.Engine{}, func() (int, int) { return 3, 1 })
	handler := m.counted("/cni", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/cni", nil))
	_, phases := attach.WithPhases(t.Context())
	m.observe("ADD", true, 3*time.Second, phases)

	page := httptest.NewRecorder()
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`multus_server_request_total{code="418",handler="/cni",method="post"} 1`,
		`thicket_request_duration_seconds_bucket{command="ADD",outcome="error",le="5"} 1`,
		`thicket_delegates_running 0`, `thicket_ledger_records 3`, `thicket_ledger_damaged 1`, `thicket_replay_unfinished 0`,
	} {
		if !strings.Contains(page.Body.String(), line+"\n") {
			t.Errorf("no line %s in\n%s", line, page.Body)
		}
	}
}
