// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

// recorder is a cluster that keeps events.
type recorder struct {
	cluster.Cluster
	events []string
}

func (r *recorder) Event(_ *cluster.Pod, eventType, reason, message string) {
	r.events = append(r.events, eventType+" "+reason+": "+message)
}

// What a daemon with undeclaredCapabilities "warn" leaves out it tells of
// (NET-18).
func TestUndeclaredIsToldOf(t *testing.T) {
	r := &recorder{}
	e := &Engine{cluster: r, log: slog.New(slog.DiscardHandler)}
	pod := &cluster.Pod{Namespace: "ns", Name: "p"}
	e.undeclared(pod, &network.Delegate{Definition: "ns/a", Interface: "net1"})
	e.undeclared(pod, &network.Delegate{Definition: "ns/b", Interface: "net2", Undeclared: []string{"ips", "mac"}})
	if len(r.events) != 1 {
		t.Fatalf("events: %q", r.events)
	}
	for _, part := range []string{"Warning RequestIgnored", "net2", "ns/b", "ips, mac"} {
		if !strings.Contains(r.events[0], part) {
			t.Errorf("%q does not say %q", r.events[0], part)
		}
	}
}
