// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseDaemon(t *testing.T) {
	d, err := ParseDaemon("mine=bin/nodes  -as mine")
	if err != nil || d.Name != "mine" || !slices.Equal(d.Command, []string{"bin/nodes", "-as", "mine"}) {
		t.Errorf("%+v, %v", d, err)
	}
	for _, wrong := range []string{"", "mine", "=bin/nodes", "mine=", "mine=  "} {
		if _, err := ParseDaemon(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, right := range [][]int{{1}, {5, 20}, {50, 100, 200, 400}} {
		if err := Check(right); err != nil {
			t.Errorf("%v: %v", right, err)
		}
	}
	for _, wrong := range [][]int{nil, {0}, {-1, 5}, {MostNodes + 1}, {100, 50}, {50, 50}} {
		if err := Check(wrong); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}

func TestEach(t *testing.T) {
	var calls atomic.Int64
	if err := each(100, func(int) error { calls.Add(1); return nil }); err != nil || calls.Load() != 100 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
	fault := errors.New("no")
	if err := each(100, func(i int) error {
		if i == 50 {
			return fault
		}
		return nil
	}); !errors.Is(err, fault) {
		t.Errorf("err = %v", err)
	}
}

func TestQuantile(t *testing.T) {
	var all []time.Duration
	for i := range 101 {
		all = append(all, time.Duration(i))
	}
	if quantile(all, .5) != 50 || quantile(all, .99) != 99 || quantile(all, 1) != 100 || quantile(all[:1], .99) != 0 {
		t.Error(quantile(all, .5), quantile(all, .99), quantile(all, 1), quantile(all[:1], .99))
	}
}
