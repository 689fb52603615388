// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thicket-cni/thicket/pkg/background"
)

// hanging is an engine whose requests for one namespace hang.
type hanging struct {
	Engine
	namespace string
	seen      chan string
}

// Attached implements Engine.
func (*hanging) Attached(string, string) bool { return true }

// Reconcile implements Engine.
func (h *hanging) Reconcile(ctx context.Context, namespace, name string, _ int, _ bool) (bool, error) {
	if namespace == h.namespace {
		<-ctx.Done()
		return false, ctx.Err()
	}
	h.seen <- name
	return false, nil
}

// TestFollowerShares has the plugins of one namespace's pods hang: pods of others
// are looked at (SEC-11).
func TestFollowerShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hard, end := context.WithCancel(t.Context())
		config := DefaultConfig()
		config.ReconcileNetworks = true
		engine := &hanging{namespace: "slow", seen: make(chan string, 1)}
		d := &Daemon{config: config, log: slog.New(slog.DiscardHandler), engine: engine, flight: newFlight(), hard: hard}
		d.follower = newFollower(d)
		workers := background.Group{}
		for range podWorkers {
			workers.Start("following pods", func() { d.follower.work(hard, &onePod{}) })
		}
		for n := range 3 * podWorkers {
			d.follower.queue.Add(podName{"slow", fmt.Sprint(n)})
		}
		synctest.Wait()
		d.follower.queue.Add(podName{"other", "p"})
		select {
		case <-engine.seen:
		case <-time.After(time.Minute):
			t.Error("a pod waits for the pods of another namespace")
		}
		end()
		d.follower.queue.ShutDown()
		workers.Wait()
		if len(d.follower.busy) > 0 {
			t.Errorf("namespaces that are being looked at: %v", d.follower.busy)
		}
	})
}
