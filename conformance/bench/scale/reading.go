// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bytes"
	"context"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"

	"github.com/thicket-cni/thicket/fakes/hollow"
)

// counts are what kube-apiserver's own metrics say.
type counts struct {
	// requests have ended, by verb and resource; watches are open.
	requests, watches map[string]float64
	// events is how many watch events were sent, by resource, and eventBytes their size.
	events, eventBytes map[string]float64
	// live is the memory in use, in bytes, as of the last collection.
	live float64
}

// asked are the resources that a daemon asks for; all other requests are the
// measurement's or the API server's own.
var asked = map[string]bool{
	"pods": true, "pods/status": true, "events": true, definitions.Resource: true,
	"selfsubjectaccessreviews": true, "resourceclaims": true, "resourceslices": true,
}

// parseCounts reads the metrics in Prometheus' text form.
func parseCounts(text []byte) (counts, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return counts{}, fmt.Errorf("the API server's metrics: %w", err)
	}
	c := counts{requests: map[string]float64{}, watches: map[string]float64{}, events: map[string]float64{}, eventBytes: map[string]float64{}}
	for _, m := range families["apiserver_request_total"].GetMetric() {
		if of := labelsOf(m); asked[of.resource] {
			c.requests[of.verb+" "+of.resource] += m.GetCounter().GetValue()
		}
	}
	for _, m := range families["apiserver_longrunning_requests"].GetMetric() {
		if of := labelsOf(m); asked[of.resource] {
			c.watches[of.verb+" "+of.resource] += m.GetGauge().GetValue()
		}
	}
	for _, m := range families["apiserver_watch_events_total"].GetMetric() {
		c.events[labelsOf(m).resource] += m.GetCounter().GetValue()
	}
	for _, m := range families["apiserver_watch_events_sizes"].GetMetric() {
		c.eventBytes[labelsOf(m).resource] += m.GetHistogram().GetSampleSum()
	}
	for _, name := range []string{"go_memstats_heap_alloc_bytes", "go_memstats_stack_inuse_bytes"} {
		for _, m := range families[name].GetMetric() {
			c.live += m.GetGauge().GetValue()
		}
	}
	return c, nil
}

type labels struct{ verb, resource string }

// labelsOf are a metric's verb and its resource with the subresource.
func labelsOf(m *dto.Metric) labels {
	var of labels
	var sub string
	for _, l := range m.GetLabel() {
		switch l.GetName() {
		case "verb":
			of.verb = l.GetValue()
		case "resource":
			of.resource = l.GetValue()
		case "subresource":
			sub = l.GetValue()
		}
	}
	if sub != "" {
		of.resource += "/" + sub
	}
	return of
}

// reading is the API server and the nodes' connections at one moment.
type reading struct {
	counts
	at        time.Time
	api, etcd time.Duration
	traffic   hollow.Traffic
}

// begin reads before something is measured, and end after it: reading the metrics
// itself costs the API server some processor time, which is in neither.
func (t *trial) begin(ctx context.Context) (r reading, err error) {
	if r.counts, err = t.world.counts(ctx); err != nil {
		return r, err
	}
	return r, t.processors(ctx, &r)
}

func (t *trial) end(ctx context.Context) (r reading, err error) {
	if err = t.processors(ctx, &r); err != nil {
		return r, err
	}
	r.counts, err = t.world.counts(ctx)
	return r, err
}

func (t *trial) processors(ctx context.Context, r *reading) (err error) {
	if r.traffic, err = t.fleet.count(ctx); err != nil {
		return err
	}
	etcd, api := t.world.server.PIDs()
	if r.etcd, err = processor(etcd); err != nil {
		return err
	}
	r.api, err = processor(api)
	r.at = time.Now()
	return err
}

// spent is what happened between two readings.
type spent struct {
	seconds                              float64
	api, etcd                            float64 // processor seconds, api without its own idle share
	requests, watches, events, eventByte map[string]float64
	received, sent                       float64 // bytes
}

// since compares two readings; idle is the share of a core that kube-apiserver uses
// without nodes.
func (r *reading) since(before *reading, idle float64) spent {
	s := spent{seconds: r.at.Sub(before.at).Seconds(), etcd: (r.etcd - before.etcd).Seconds(),
		requests: less(r.requests, before.requests), watches: less(r.watches, before.watches),
		events: less(r.events, before.events), eventByte: less(r.eventBytes, before.eventBytes),
		received: float64(r.traffic.Received - before.traffic.Received), sent: float64(r.traffic.Sent - before.traffic.Sent)}
	s.api = max((r.api-before.api).Seconds()-idle*s.seconds, 0)
	return s
}

// less are the differences that are not 0.
func less(after, before map[string]float64) map[string]float64 {
	all := map[string]float64{}
	for k, v := range after {
		if d := v - before[k]; d != 0 {
			all[k] = d
		}
	}
	return all
}

// share divides all of them.
func share(all map[string]float64, by float64) map[string]float64 {
	shares := map[string]float64{}
	for k, v := range all {
		shares[k] = v / by
	}
	return shares
}

// processor is what a process has used so far.
func processor(pid int) (time.Duration, error) {
	stat, err := statOf(pid)
	return time.Duration(stat.CPUTime() * float64(time.Second)), err
}

// resident is a process's memory, in MiB.
func resident(pid int) (float64, error) {
	stat, err := statOf(pid)
	return mib(float64(stat.ResidentMemory())), err
}

func statOf(pid int) (procfs.ProcStat, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, err
	}
	return p.Stat()
}

func mib(bytes float64) float64 { return bytes / (1 << 20) }

func kib(bytes float64) float64 { return bytes / (1 << 10) }
