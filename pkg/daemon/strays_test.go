// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

// onePod is a cluster that knows one pod, or none, and counts its events.
type onePod struct {
	cluster.Cluster
	cluster.Follower
	pod    *cluster.Pod
	events int
}

// KnownPod implements cluster.Follower.
func (o *onePod) KnownPod(string, string) (*cluster.Pod, bool) { return o.pod, o.pod != nil }

// Event implements cluster.Recorder.
func (o *onePod) Event(*cluster.Pod, string, string, string) { o.events++ }

// attachedOrNot is an engine that knows of one pod whether it is attached.
type attachedOrNot struct {
	Engine
	attached bool
}

// Attached implements Engine.
func (a *attachedOrNot) Attached(string, string) bool { return a.attached }

func TestStrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &onePod{pod: &cluster.Pod{Namespace: "ns", Name: "p", Annotations: map[string]string{network.NetworksAnnotation: "blue"}}}
		engine := &attachedOrNot{}
		s := newStrays(&Daemon{log: slog.New(slog.DiscardHandler), cluster: c, engine: engine})
		pod := podName{"ns", "p"}
		ready := probe(alive, s.warning)
		expect := func(what string, again bool, count, events int) {
			t.Helper()
			if later := s.judge(pod, c); (later > 0) != again || s.count() != count || c.events != events {
				t.Errorf("%s: look again in %s, %d strays, %d events", what, later, s.count(), c.events)
			}
			answer := httptest.NewRecorder()
			ready.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if answer.Code != http.StatusOK || strings.Contains(answer.Body.String(), "ns/p") != (count > 0) {
				t.Errorf("%s: /readyz answers %d %s", what, answer.Code, answer.Body)
			}
		}
		expect("it has no address", false, 0, 0)
		c.pod.Running = true
		expect("it has one", true, 0, 0)
		time.Sleep(strayPatience / 2)
		expect("a little later", true, 0, 0)
		engine.attached = true
		expect("its ADD came", false, 0, 0)
		engine.attached = false
		expect("its sandbox is gone", true, 0, 0)
		time.Sleep(strayPatience)
		expect("nothing came", false, 1, 1)
		expect("once more", false, 1, 1)
		engine.attached = true
		expect("made anew", false, 0, 1)
		engine.attached = false
		time.Sleep(strayPatience)
		expect("again without", true, 0, 1)
		c.pod = nil
		time.Sleep(strayPatience)
		expect("it is gone", false, 0, 1)
	})
}

// TestStraysAsk says which annotations ask for networks.
func TestStraysAsk(t *testing.T) {
	for annotation, want := range map[string]bool{"": false, " ": false, "[]": false, " [ ] ": false, "blue": true, `[{"name":"blue"}]`: true, "a@b@c": true} {
		pod := &cluster.Pod{Namespace: "ns", Name: "p", Annotations: map[string]string{network.NetworksAnnotation: annotation}}
		if got := asks(pod); got != want {
			t.Errorf("%q asks for networks: %v, want %v", annotation, got, want)
		}
	}
}
