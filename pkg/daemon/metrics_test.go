// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// TestMetricsSayWhatWasServed reads the page as Prometheus would; Multus'
// counter keeps its name and labels, which dashboards know.
func TestMetricsSayWhatWasServed(t *testing.T) {
	m := newMetrics(admission.New(admission.Options{}), attach.New(attach.Options{Log: slog.New(slog.DiscardHandler)}), &cluster.Kubernetes{}, func() (int, int) { return 3, 1 })
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

// TestDashboardKnowsTheMetrics looks for every metric of the Grafana dashboard
// among those that are served.
func TestDashboardKnowsTheMetrics(t *testing.T) {
	dashboard, err := os.ReadFile("../../kind/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	m := newMetrics(admission.New(admission.Options{}), attach.New(attach.Options{Log: slog.New(slog.DiscardHandler)}), &cluster.Kubernetes{}, func() (int, int) { return 0, 0 })
	m.counted("/cni", http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/cni", nil))
	_, phases := attach.WithPhases(t.Context())
	m.observe("ADD", false, time.Second, phases)
	m.phases.WithLabelValues("ADD", "plan").Observe(1)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{}
	for _, f := range families {
		served[f.GetName()] = true
	}
	names := regexp.MustCompile(`\b(?:thicket|multus|process|go)_[a-z_]+\b`).FindAllString(string(dashboard), -1)
	if len(names) < 15 {
		t.Errorf("the dashboard names %d metrics", len(names))
	}
	for _, name := range names {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if !served[name] && !served[base] {
			t.Errorf("no metric %s", name)
		}
	}
}
