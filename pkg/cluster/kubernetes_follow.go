// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/thicket-cni/thicket/pkg/background"
)

// objectCache is what a follower fills: a reflector's store that hears of bookmarks.
type objectCache interface {
	cache.ReflectorStore
	cache.ReflectorBookmarkStore
	// synced is closed when the cache has been filled once.
	synced() <-chan struct{}
	// listing says that a list begins to be streamed, from its first object on.
	listing()
	// setConnected says whether changes are coming in.
	setConnected(bool)
}

// kindFollower keeps one kind of objects in a cache. It is a reflector without an
// informer round it: nobody needs the objects twice, in a queue and in a store.
type kindFollower struct {
	what      string
	cache     objectCache
	example   runtime.Object
	list      func() runtime.Object
	transform cache.TransformFunc
	query     func(metav1.ListOptions) *rest.Request
	owner     *Kubernetes

	mu      sync.Mutex
	trouble string
}

// trimming has the reflector trim objects one by one while it streams the
// first list, so that they are never in memory all at full size.
type trimming struct {
	objectCache
	transform cache.TransformFunc
}

// Transformer implements cache.TransformingStore.
func (t trimming) Transformer() cache.TransformFunc { return t.transform }

func (f *kindFollower) run(ctx context.Context) {
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := f.listPaged(ctx, o)
			f.note(err)
			return list, err
		},
		WatchFuncWithContext: f.watch,
	}
	quiet := logr.Discard() // note logs what is worth it, once
	cache.NewReflectorWithOptions(lw, f.example, trimming{f.cache, f.transform}, cache.ReflectorOptions{
		Name: f.what, Logger: &quiet,
		// Sooner back than client-go's own 30 to 60 s: until then pods are looked
		// up one by one.
		Backoff: &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 1, Steps: math.MaxInt32, Cap: 8 * time.Second},
	}).RunWithContext(logr.NewContext(ctx, quiet))
}

func (f *kindFollower) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	if o.SendInitialEvents != nil && *o.SendInitialEvents {
		f.cache.listing()
	}
	w, err := startWatch(ctx, f.query(o), o)
	if o.SendInitialEvents == nil || !apierrors.IsInvalid(err) { // else the server streams no lists, and the list comes next
		f.note(err)
	}
	if err != nil {
		f.cache.setConnected(false)
		return nil, errors.Unwrap(err)
	}
	f.cache.setConnected(true)
	s := &stream{Interface: w, events: make(chan watch.Event), stopped: make(chan struct{})}
	background.Start(f.owner.log, "passing on "+f.what, func() error { s.forward(f); return nil })
	return s, nil
}

// note logs what keeps objects from being followed, once until it changes.
func (f *kindFollower) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil || errors.Is(err, context.Canceled) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		if err == nil && f.trouble != "" {
			f.owner.log.Info("followed again", "what", f.what)
			f.trouble = ""
		}
		return
	}
	err = explain(err, "list and watch", f.what)
	if err.Error() == f.trouble {
		return
	}
	f.trouble = err.Error()
	f.owner.log.Warn("cannot be followed; tried again", "what", f.what, "server", f.owner.host, "error", err)
	select {
	case <-f.cache.synced():
	default:
		f.owner.waitsFor(f.what, err)
	}
}

// stream passes a watch's events on and notices its end at once; the reflector
// would say so only when it watches again.
type stream struct {
	watch.Interface
	events  chan watch.Event
	stopped chan struct{}
	once    sync.Once
}

// ResultChan implements watch.Interface.
func (s *stream) ResultChan() <-chan watch.Event { return s.events }

// Stop implements watch.Interface.
func (s *stream) Stop() {
	s.once.Do(func() { close(s.stopped) })
	s.Interface.Stop()
}

func (s *stream) forward(f *kindFollower) {
	defer close(s.events)
	defer f.cache.setConnected(false)
	for e := range s.Interface.ResultChan() {
		if e.Type == watch.Error {
			f.note(apierrors.FromObject(e.Object))
		}
		select {
		case s.events <- e:
		case <-s.stopped:
			return
		}
	}
}
