// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"testing"
)

// BenchmarkPlan makes the plan of a pod with so many further networks.
func BenchmarkPlan(b *testing.B) {
	d := definitions{"kube-system/main": `{"cniVersion":"1.0.0","name":"main","plugins":[{"type":"bridge","ipam":{"type":"host-local"}}]}`}
	annotation := "["
	for i := range 10 {
		d[fmt.Sprintf("ns/n%d", i)] = `{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"macvlan","capabilities":{"ips":true},"master":"eth1","ipam":{"type":"host-local","subnet":"10.1.2.0/24"}}]}`
	}
	p := NewPlanner(Options{ClusterNetwork: "main"}, d)
	for n := range 10 {
		annotation += fmt.Sprintf(`{"name":"n%d","ips":["10.1.2.%d/24"]},`, n, n+1)
		if n != 0 && n != 2 && n != 9 {
			continue
		}
		subject := pod("ns", annotation[:len(annotation)-1]+"]")
		b.Run(fmt.Sprintf("networks=%d", n+1), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if plan, err := p.Plan(b.Context(), subject, "eth0", nil); err != nil || len(plan) != n+2 {
					b.Fatal(len(plan), err)
				}
			}
		})
	}
}
