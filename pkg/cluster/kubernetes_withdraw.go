// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/thicket-cni/thicket/pkg/background"
)

const (
	// withdrawDelay is how long a status stays when its sandbox has gone. Most
	// pods go too, or get another sandbox that publishes anew: neither has to be
	// written twice.
	withdrawDelay = 300 * time.Millisecond
	// withdrawRetry bounds the pause before it is tried again, which doubles each
	// time.
	withdrawRetry = 10 * time.Second
	// withdrawLimit is how many go at once: a node that is drained has other
	// things to ask of the API server.
	withdrawLimit = 4
)

// withdrawals are the statuses that are being taken away, by pod.
type withdrawals struct {
	slots   chan struct{}
	all     background.Group
	mu      sync.Mutex
	pending map[key]*withdrawal
	closed  bool
}

type withdrawal struct {
	stop context.CancelFunc
	done chan struct{}
}

func newWithdrawals() *withdrawals {
	return &withdrawals{slots: make(chan struct{}, withdrawLimit), pending: map[key]*withdrawal{}}
}

// begin has f called in the background, after what is pending for the pod, until
// it says that it need not be called again. done is called unless the daemon ends.
func (w *withdrawals) begin(pod key, f func(ctx context.Context) (again bool), done func()) {
	ctx, stop := context.WithCancel(context.Background())
	own := &withdrawal{stop: stop, done: make(chan struct{})}
	w.cancel(pod)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		stop()
		return
	}
	w.pending[pod] = own
	w.all.Start("taking a status away", func() {
		defer close(own.done)
		defer stop()
		for pause, again := withdrawDelay, true; again && pausing(ctx, pause); pause = min(2*pause, withdrawRetry) {
			select {
			case w.slots <- struct{}{}:
				again = f(ctx)
				<-w.slots
			case <-ctx.Done():
			}
		}
		if w.forget(pod, own) {
			done()
		}
	})
}

// forget is false when the daemon ends.
func (w *withdrawals) forget(pod key, own *withdrawal) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending[pod] == own {
		delete(w.pending, pod)
	}
	return !w.closed
}

// cancel ends what is pending for a pod, so that nothing is taken away after
// it returned.
func (w *withdrawals) cancel(pod key) {
	w.mu.Lock()
	pending := w.pending[pod]
	delete(w.pending, pod)
	w.mu.Unlock()
	if pending != nil {
		pending.stop()
		<-pending.done
	}
}

// shutdown ends everything.
func (w *withdrawals) shutdown() {
	w.mu.Lock()
	w.closed = true
	for _, pending := range w.pending {
		pending.stop()
	}
	w.mu.Unlock()
	w.all.Wait()
}

// WithdrawStatus implements Cluster: a pod that stays although its sandbox
// went, because it is to get another one or has completed, does not show
// addresses any more that others may have by then. Pods that are going are left
// alone, and DEL waits for no API server (DEL-09).
func (k *Kubernetes) WithdrawStatus(w Withdrawal) {
	if len(w.Status) == 0 || !k.MayShow(w.Pod) {
		w.done()
		return
	}
	at := key{w.Pod.Namespace, w.Pod.Name}
	known, ok := k.pods.get(at)
	if !ok {
		known = w.Pod // it is gone, or pods are not known yet
	}
	k.withdrawals.begin(at, func(ctx context.Context) (again bool) {
		if k.Waiting() != "" {
			return true
		}
		now, ok := k.pods.get(at)
		if !ok || now.terminating || !now.HasUID(known.UID) || known.UID == "" {
			return false
		}
		err := k.withdrawFrom(ctx, now, &w)
		if err != nil {
			k.log.Warn("the network status of a deleted sandbox stays published", "error", err)
		}
		return err != nil && !IsRefused(err)
	}, w.done)
}

// MayShow implements LiveCluster. A pod that is not known may be.
func (k *Kubernetes) MayShow(pod *Pod) bool {
	known, ok := k.pods.get(key{pod.Namespace, pod.Name})
	return !ok || !known.terminating && known.HasUID(pod.UID)
}

// withdrawFrom removes the status that a pod shows. Whatever else it shows is no
// error.
func (k *Kubernetes) withdrawFrom(ctx context.Context, pod *Pod, w *Withdrawal) error {
	text, err := statusText(w.Status)
	if err != nil {
		return nil //nolint:nilerr // it was not published either
	}
	err = k.withdraw(ctx, pod, text)
	if isOtherStatus(err) && !w.Exact {
		err = k.withdrawOther(ctx, pod, text)
	}
	if errors.Is(err, ErrNotFound) || isOtherStatus(err) || ctx.Err() != nil {
		return nil //nolint:nilerr // the pod is gone, or is to show something else
	}
	return err
}

// withdrawOther removes a status that others have written, with another layout: who
// plugs networks later. The watch may not have told of it yet.
func (k *Kubernetes) withdrawOther(ctx context.Context, pod *Pod, text string) error {
	now, err := k.LivePod(ctx, pod.Namespace, pod.Name)
	if err != nil {
		return err
	}
	if !now.HasUID(pod.UID) || now.status == "" || now.status == text {
		return nil
	}
	return k.withdraw(ctx, now, now.status)
}

// isOtherStatus says whether the pod's status is not the one that was to be
// removed: the test in a patch fails as invalid.
func isOtherStatus(err error) bool {
	return apierrors.IsInvalid(err) || errors.Is(err, errOtherStatus)
}

// withdraw removes the status of this very pod as long as it is still the
// given text: another sandbox of the pod may have published its own since.
func (k *Kubernetes) withdraw(ctx context.Context, pod *Pod, text string) error {
	patch, err := withdrawPatch(pod.UID, text)
	if err != nil {
		return err
	}
	return k.writeStatus(ctx,
		func() error { return k.patchStatus(ctx, pod, types.JSONPatchType, patch) },
		func() error { return k.withdrawByUpdate(ctx, pod, text) })
}

func withdrawPatch(uid, text string) ([]byte, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value,omitempty"`
	}
	annotation := "/metadata/annotations/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(statusAnnotation)
	return json.Marshal([]operation{
		{"test", "/metadata/uid", uid},
		{"test", annotation, text},
		{"remove", annotation, ""},
	})
}
