// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// checkExplained asserts that a pod's networks are explained as they are planned.
func checkExplained(t *testing.T, p *Planner, pod *cluster.Pod, plan []Delegate, planned error) {
	t.Helper()
	explained, err := p.Explain(t.Context(), pod, "eth0")
	if fmt.Sprint(err) != fmt.Sprint(planned) {
		t.Fatalf("explained by %v, planned with %v", err, planned)
	}
	failed := false
	var delegates []Delegate
	for _, e := range explained {
		failed = failed || e.Err != nil
		if e.Delegate != nil {
			delegates = append(delegates, *e.Delegate)
		}
	}
	if planned == nil && (failed || !reflect.DeepEqual(delegates, plan)) {
		t.Fatalf("explained %+v, planned %+v", explained, plan)
	}
	judged := false
	for _, e := range p.Judge(t.Context(), pod) {
		judged = judged || e.Err != nil
	}
	if planned == nil && judged || failed && !judged {
		t.Fatalf("judged %v, planned with %v, explained %+v", judged, planned, explained)
	}
}

func TestExplain(t *testing.T) {
	known := definitions{
		"kube-system/main": `{"cniVersion":"1.0.0","name":"main","type":"bridge"}`, "kube-system/every": plugin("every"),
		"default/good":   `{"cniVersion":"1.0.0","name":"good","plugins":[{"type":"macvlan"},{"type":"tuning","capabilities":{"mac":true}}]}`,
		"default/silent": plugin("silent"), "default/broken": `{"name":`, "default/away": "away",
	}
	p := NewPlanner(Options{ClusterNetwork: "main", DefaultNetworks: []string{"every"}, Limits: DefaultLimits()}, known)
	subject := pod("default", `[{"name":"good","mac":"02:00:00:00:00:01","interface":"up1"},{"name":"silent","ips":["10.0.0.1"]},{"name":"broken"},{"name":"missing"},{"name":"away"},{"name":"good"}]`)
	explained, err := p.Explain(t.Context(), subject, "eth0")
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("Plan's error is %v", err)
	}
	for i, want := range []struct{ asked, ifName, source, failure string }{
		{"clusterNetwork main", "eth0", "network definition kube-system/main", ""},
		{"defaultNetworks every", "net1", "network definition kube-system/every", ""},
		{"element 1, default/good", "up1", "network definition default/good", ""},
		{"element 2, default/silent", "net3", "network definition default/silent", "asked for ips"},
		{"element 3, default/broken", "net4", "network definition default/broken", "not a JSON object"},
		{"element 4, default/missing", "net5", "", "not found"},
		{"element 5, default/away", "net6", "", "cannot be looked up"},
		{"element 6, default/good", "net7", "network definition default/good", ""},
	} {
		e := explained[i]
		if !strings.Contains(e.Asked, want.asked) || e.Interface != want.ifName || e.Source != want.source || (e.Err == nil) != (want.failure == "") || e.Err != nil && !strings.Contains(e.Err.Error(), want.failure) {
			t.Errorf("%d: %+v, want %+v", i, e, want)
		}
	}
	if c := explained[2].Capabilities; len(c) != 1 || c[0].Name != "mac" || c[0].From != "the pod's selection" || !reflect.DeepEqual(c[0].Plugins, []string{"tuning"}) {
		t.Errorf("capabilities %+v", c)
	}
	if len(explained) != 8 {
		t.Errorf("%d networks are explained", len(explained))
	}
}

func TestExplainDefaults(t *testing.T) {
	p := NewPlanner(Options{ClusterNetwork: "/nonexistent/10.conf"}, definitions{"kube-system/own": plugin("own")})
	explained, err := p.Explain(t.Context(), pod("default", ""), "eth0")
	if err == nil || len(explained) != 1 || explained[0].Err == nil || explained[0].Asked != "clusterNetwork /nonexistent/10.conf" {
		t.Errorf("%v, %+v", err, explained)
	}
	subject := pod("default", "")
	subject.Annotations[DefaultNetworkAnnotation] = "own"
	explained, err = p.Explain(t.Context(), subject, "eth0")
	if err != nil || len(explained) != 1 || explained[0].Delegate == nil || !explained[0].Delegate.Default && explained[0].Annotation != DefaultNetworkAnnotation {
		t.Errorf("%v, %+v", err, explained)
	}
	subject.Annotations[DefaultNetworkAnnotation] = "own, own"
	if explained, err = p.Explain(t.Context(), subject, "eth0"); err == nil || explained[0].Err == nil {
		t.Errorf("two default networks: %v, %+v", err, explained)
	}
}
