// SPDX-License-Identifier: Apache-2.0

package network

import (
	"reflect"
	"testing"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// everything asks for each capability that has to be declared, and for a
// device, which has not.
const everything = `[{"name":"a","ips":["10.0.0.1"],"mac":"02:00:00:00:00:01","infiniband-guid":"02:00:00:00:00:00:00:01","deviceID":"d",
	"bandwidth":{"ingressRate":1},"portMappings":[{"hostPort":1,"containerPort":2}],"cni-args":{"k":"v"}}]`

func TestUndeclaredCapabilities(t *testing.T) {
	declares := func(capabilities string) string {
		return `{"name":"a","plugins":[{"type":"t"},{"type":"u","capabilities":` + capabilities + `}]}`
	}
	for name, tt := range map[string]struct {
		config string
		want   []string
	}{
		"none":      {plugin("a"), []string{"bandwidth", "infinibandGUID", "ips", "mac", "portMappings"}},
		"false":     {declares(`{"ips":false,"bandwidth":true,"portMappings":true,"infinibandGUID":true,"mac":true}`), []string{"ips"}},
		"the later": {declares(`{"ips":true,"bandwidth":true,"portMappings":true,"infinibandGUID":true,"mac":true}`), nil},
		"others":    {declares(`{"ips":true,"bandwidth":true,"infiniband-guid":true,"MAC":true}`), []string{"infinibandGUID", "mac", "portMappings"}},
	} {
		t.Run(name, func(t *testing.T) {
			defs := definitions{"ns/a": tt.config, "kube-system/d": plugin("d")}
			options := Options{ConfDir: t.TempDir(), ClusterNetwork: "d"}
			_, err := NewPlanner(options, defs).Plan(t.Context(), pod("ns", everything), "eth0", nil)
			if len(tt.want) > 0 {
				expectInvalid(t, err, append(tt.want, "network ns/a")...)
			} else if err != nil {
				t.Error(err)
			}
			if _, err := NewPlanner(options, defs).Recall(t.Context(), pod("ns", everything), "eth0", nil); err != nil {
				t.Errorf("for a DEL: %v", err)
			}
			options.TolerateUndeclared = true
			plan, err := NewPlanner(options, defs).Plan(t.Context(), pod("ns", everything), "eth0", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := plan[1].Undeclared; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("undeclared: %v, want %v", got, tt.want)
			}
		})
	}
}

// What a pod asks of its own default network, and a hot-plug of its one, is
// judged alike.
func TestUndeclaredElsewhere(t *testing.T) {
	defs := definitions{"kube-system/a": plugin("a"), "kube-system/d": plugin("d")}
	p := NewPlanner(Options{ConfDir: t.TempDir(), ClusterNetwork: "d"}, defs)
	replaced := &cluster.Pod{Namespace: "ns", Annotations: map[string]string{DefaultNetworkAnnotation: `[{"name":"a","ips":["10.0.0.1"]}]`}}
	_, err := p.Plan(t.Context(), replaced, "eth0", nil)
	expectInvalid(t, err, "kube-system/a", "ips")
	sel := &Selection{MacRequest: "02:00:00:00:00:01"}
	_, err = p.Plug(t.Context(), []byte(plugin("hot")), "net1", sel, 0)
	expectInvalid(t, err, "hot", "mac")
	p.options.TolerateUndeclared = true
	if d, err := p.Plug(t.Context(), []byte(plugin("hot")), "net1", sel, 0); err != nil || !reflect.DeepEqual(d.Undeclared, []string{"mac"}) {
		t.Errorf("%+v, %v", d, err)
	}
}
