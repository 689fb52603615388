// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// slowCluster takes a status when told, and remembers what it took.
type slowCluster struct {
	cluster.Cluster
	// answer is asked for each attempt, counted from 1.
	answer func(ctx context.Context, attempt int) error

	mu       sync.Mutex
	attempts int
	taken    []string
}

// PublishStatus implements cluster.Cluster.
func (c *slowCluster) PublishStatus(ctx context.Context, _ *cluster.Pod, status []cluster.NetworkStatus) error {
	c.mu.Lock()
	c.attempts++
	attempt := c.attempts
	c.mu.Unlock()
	err := c.answer(ctx, attempt)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.taken = append(c.taken, status[0].Name)
	}
	return err
}

func after(d time.Duration, err error) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		select {
		case <-time.After(d):
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func statusOf(containerID, name string) *publication {
	return &publication{containerID: containerID, pod: &cluster.Pod{Namespace: "ns", Name: "p"}, status: []cluster.NetworkStatus{{Name: name}}}
}

func TestPublisherWaits(t *testing.T) {
	refused := fmt.Errorf("gone: %w", cluster.ErrNotFound)
	for _, tt := range []struct {
		name    string
		answer  func(context.Context, int) error
		wait    time.Duration
		late    bool
		err     error
		settled bool
	}{
		{"at once", after(0, nil), time.Second, false, nil, false},
		{"slow", after(3*time.Second, nil), time.Second, true, nil, true},
		{"not waited for", after(time.Second, nil), 0, true, nil, true},
		{"the pod is gone", after(0, refused), time.Second, false, cluster.ErrNotFound, false},
		{"gone, late", after(3*time.Second, refused), time.Second, true, nil, true},
		{"the second time", func(_ context.Context, attempt int) error {
			if attempt == 1 {
				return errors.New("away")
			}
			return nil
		}, time.Second / 2, true, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &slowCluster{answer: tt.answer}
				settled := false
				p := newPublisher(c, tt.wait, func(context.Context, *publication) { settled = true }, slog.New(slog.DiscardHandler))
				late, err := p.publish(t.Context(), statusOf("c", "a"))
				if late != tt.late || !errors.Is(err, tt.err) {
					t.Errorf("got late %v, error %v", late, err)
				}
				if want := map[bool]int{true: 1}[late]; p.due() != want {
					t.Errorf("%d are due, want %d", p.due(), want)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if settled != tt.settled || p.due() != 0 {
					t.Errorf("settled: %v, %d are due", settled, p.due())
				}
				p.shutdown()
			})
		})
	}
}

// TestPublisherOrder has a newer status take the place of one on its way, and a
// sandbox that goes: nothing is written after either.
func TestPublisherOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &slowCluster{answer: after(5*time.Second, nil)}
		p := newPublisher(c, 0, func(context.Context, *publication) {}, slog.New(slog.DiscardHandler))
		for _, name := range []string{"first", "second"} {
			if late, err := p.publish(t.Context(), statusOf("c-"+name, name)); !late || err != nil {
				t.Fatalf("%s: got late %v, error %v", name, late, err)
			}
		}
		p.cancel("ns/p", "c-first") // which has been replaced
		time.Sleep(time.Minute)
		synctest.Wait()
		if fmt.Sprint(c.taken) != "[second]" {
			t.Errorf("taken: %v", c.taken)
		}
		p.later(t.Context(), statusOf("c-unwanted", "unwanted"), func() bool { return false })
		p.later(t.Context(), statusOf("c-third", "third"), func() bool { return true })
		p.cancel("ns/p", "c-third")
		p.shutdown()
		if late, err := p.publish(t.Context(), statusOf("c-fourth", "fourth")); !late || err != nil {
			t.Errorf("on the way out: got late %v, error %v", late, err)
		}
		if fmt.Sprint(c.taken) != "[second]" {
			t.Errorf("taken: %v", c.taken)
		}
	})
}
