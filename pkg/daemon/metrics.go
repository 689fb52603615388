// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// metrics is what the daemon counts. All names but Multus' own begin with
// thicket_.
type metrics struct {
	registry *prometheus.Registry
	// requests is Multus' counter, under its name and labels.
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	phases   *prometheus.HistogramVec
}

// buckets reach from a request without delegates to the runtime's deadline, in
// seconds.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}

func newMetrics(gate *admission.Gate, engine Engine, c cluster.Cluster, records func() (kept, damaged int)) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "multus_server_request_total", Help: "Counter of HTTP requests"},
			[]string{"handler", "code", "method"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "thicket_request_duration_seconds",
			Help: "How long requests took, by CNI command and outcome.", Buckets: buckets}, []string{"command", "outcome"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "thicket_phase_duration_seconds",
			Help: "How long requests were in each phase, by CNI command.", Buckets: buckets}, []string{"command", "phase"}),
	}
	m.registry.MustRegister(m.requests, m.duration, m.phases, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := m.gauge
	counter := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "thicket_" + name, Help: help}, value))
	}
	counter("panics_total", "Panics of the daemon's own code that were recovered.", func() float64 { return float64(background.Panics()) })
	gauge("delegates_running", "Delegate plugins that run now.", func() float64 { return float64(gate.State().Running) })
	gauge("delegates_waiting", "Delegate plugins that wait for memory.", func() float64 { return float64(gate.State().Waiting) })
	gauge("delegates_memory_bytes", "Memory that the running delegates are expected to use.", func() float64 { return float64(gate.State().Used) })
	gauge("delegates_memory_budget_bytes", "Memory that delegates may use together; 0 means no bound.", func() float64 { return float64(gate.State().Budget) })
	counter("delegates_admitted_total", "Delegate plugins that were let in.", func() float64 { return float64(gate.State().Admitted) })
	counter("delegates_gave_up_total", "Delegate plugins whose request ended before they were let in.", func() float64 { return float64(gate.State().GaveUp) })
	gauge("ledger_records", "Sandboxes in the ledger.", func() float64 { kept, _ := records(); return float64(kept) })
	gauge("ledger_damaged", "Damaged records that are kept aside.", func() float64 { _, damaged := records(); return float64(damaged) })
	gauge("replay_unfinished", "Sandboxes of an earlier daemon that could not be deleted yet and are tried again.",
		func() float64 { return float64(engine.Unfinished()) })
	gauge("statuses_due", "Network statuses that could not be published yet and are tried again.", func() float64 { return float64(engine.StatusesDue()) })
	if k, ok := c.(interface{ Retries() int64 }); ok {
		counter("cluster_retries_total", "Requests to the API server that were made again.", func() float64 { return float64(k.Retries()) })
	}
	return m
}

// gauge adds a value that is asked for each time.
func (m *metrics) gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "thicket_" + name, Help: help}, value))
}

// counted counts the requests of an endpoint as Multus does.
func (m *metrics) counted(endpoint string, next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerCounter(m.requests.MustCurryWith(prometheus.Labels{"handler": endpoint}), next)
}

// observe adds one request to the histograms.
func (m *metrics) observe(command string, failed bool, took time.Duration, phases *attach.Phases) {
	outcome := "ok"
	if failed {
		outcome = "error"
	}
	m.duration.WithLabelValues(command, outcome).Observe(took.Seconds())
	for _, phase := range attach.AllPhases {
		if spent := phases.Spent(phase); spent > 0 {
			m.phases.WithLabelValues(command, string(phase)).Observe(spent.Seconds())
		}
	}
}

// serveMetrics serves /metrics, and profiles when they are asked for, until ctx
// ends. A port that is taken does not keep a node's pods from starting: it is
// an error in the log.
func (d *Daemon) serveMetrics(ctx context.Context) {
	if d.config.MetricsPort == 0 {
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(d.metrics.registry, promhttp.HandlerOpts{Registry: d.metrics.registry, MaxRequestsInFlight: 2, Timeout: portTimeout}))
	within := portTimeout
	if d.config.EnablePprof {
		within = profileTimeout
		profiles := newOneProfile()
		mux.Handle("/debug/pprof/", profiles.handle(pprof.Index))
		mux.Handle("/debug/pprof/cmdline", profiles.handle(pprof.Cmdline))
		mux.Handle("/debug/pprof/profile", profiles.handle(pprof.Profile))
		mux.Handle("/debug/pprof/symbol", profiles.handle(pprof.Symbol))
		mux.Handle("/debug/pprof/trace", profiles.handle(pprof.Trace))
	}
	address := net.JoinHostPort(d.config.MetricsAddress, strconv.Itoa(d.config.MetricsPort))
	if err := d.servePort(ctx, address, mux, within); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		d.log.Error("metrics are not served; free the port or set metricsPort to another one", "metricsPort", d.config.MetricsPort, "error", err)
	}
}
