// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"testing"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// TestHotPlugAskedAgain has a client ask again for what was plugged: it is served
// where its answer was lost with the daemon, and refused where it had the answer.
func TestHotPlugAskedAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	r := &Request{ContainerID: "c1", Netns: "/proc/self/ns/net", Interface: "sandbox0", Pod: ledger.Pod{Namespace: "ns", Name: "p"}}
	if _, err := w.engine.Add(ctx, r); err != nil {
		t.Fatal(err)
	}
	plug := *r
	plug.Interface, plug.Config = "hot0", []byte(`{"cniVersion":"1.0.0","name":"hot","type":"a"}`)
	other := plug
	other.Config = []byte(`{"cniVersion":"1.0.0","name":"other","type":"a"}`)
	ask := func(r *Request, served bool, when string) {
		t.Helper()
		if _, err := w.engine.HotAdd(ctx, r, nil); (err == nil) != served {
			t.Errorf("%s, a hot-plug is served: %v, want %v: %v", when, err == nil, served, err)
		}
	}
	ask(&plug, true, "at first")
	w.start(t)
	ask(&other, false, "of another network, when the answer to the first was lost")
	ask(&plug, true, "again, when the answer was lost")
	w.engine.HotAnswered(ctx, &plug)
	ask(&plug, false, "again, when it was answered")
	w.start(t)
	ask(&plug, false, "again, when it was answered by an earlier daemon")
	if err := w.engine.Del(ctx, r); err != nil {
		t.Fatal(err)
	}
	w.expectNothing(t, "a hot-plug that was asked for again")
}
