// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"maps"
	"os"
	"testing"
	"time"
)

const metrics = `# HELP apiserver_request_total Counter of requests
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="status",verb="PATCH",version="v1"} 7
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="status",verb="PATCH",version="v1"} 2
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 100
# TYPE apiserver_longrunning_requests gauge
apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="cluster",subresource="",verb="WATCH",version="v1"} 50
# TYPE apiserver_watch_events_total counter
apiserver_watch_events_total{group="k8s.cni.cncf.io",resource="network-attachment-definitions",version="v1"} 1000
# TYPE apiserver_watch_events_sizes histogram
apiserver_watch_events_sizes_bucket{group="k8s.cni.cncf.io",resource="network-attachment-definitions",version="v1",le="+Inf"} 1000
apiserver_watch_events_sizes_sum{group="k8s.cni.cncf.io",resource="network-attachment-definitions",version="v1"} 640000
apiserver_watch_events_sizes_count{group="k8s.cni.cncf.io",resource="network-attachment-definitions",version="v1"} 1000
# TYPE go_memstats_heap_alloc_bytes gauge
go_memstats_heap_alloc_bytes 1e+08
# TYPE go_memstats_stack_inuse_bytes gauge
go_memstats_stack_inuse_bytes 2e+07
`

func TestParseCounts(t *testing.T) {
	c, err := parseCounts([]byte(metrics))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		what      string
		got, want map[string]float64
	}{
		{"requests", c.requests, map[string]float64{"PATCH pods/status": 9, "POST events": 3}},
		{"watches", c.watches, map[string]float64{"WATCH pods": 50}},
		{"events", c.events, map[string]float64{definitions.Resource: 1000}},
		{"bytes", c.eventBytes, map[string]float64{definitions.Resource: 640000}},
	} {
		if !maps.Equal(one.got, one.want) {
			t.Errorf("%s = %v, want %v", one.what, one.got, one.want)
		}
	}
	near(t, "live", c.live, 1.2e8, 0)
	if _, err := parseCounts([]byte("<html>")); err == nil {
		t.Error("what is not metrics is taken for some")
	}
}

func TestSince(t *testing.T) {
	at := time.Now()
	before := reading{at: at, api: time.Second, counts: counts{requests: map[string]float64{"GET pods": 5, "POST events": 1}}}
	after := reading{at: at.Add(10 * time.Second), api: 3 * time.Second, counts: counts{requests: map[string]float64{"GET pods": 5, "POST events": 4}}}
	s := after.since(&before, 0.05)
	near(t, "processor without the idle share", s.api, 1.5, 1e-9)
	if want := map[string]float64{"POST events": 3}; !maps.Equal(s.requests, want) {
		t.Errorf("requests = %v, want %v", s.requests, want)
	}
	if s := after.since(&before, 1); s.api != 0 {
		t.Errorf("a negative time of the processor: %v", s.api)
	}
}

func TestOwnProcess(t *testing.T) {
	memory, err := resident(os.Getpid())
	if err != nil || memory < 1 || memory > 10000 {
		t.Errorf("resident = %v MiB, %v", memory, err)
	}
	if _, err := processor(os.Getpid()); err != nil {
		t.Error(err)
	}
	if _, err := processor(1 << 30); err == nil {
		t.Error("a process that is not there has no error")
	}
}
