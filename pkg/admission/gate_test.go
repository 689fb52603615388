// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// enter asks in the background and tells the order of those let in.
func enter(ctx context.Context, g *Gate, command, name string, in chan<- string) chan func(int64) {
	leave := make(chan func(int64), 1)
	go func() {
		out, err := g.Enter(ctx, command, name)
		if err != nil {
			in <- name + ": " + err.Error()
			return
		}
		in <- name
		leave <- out
	}()
	return leave
}

func TestDelBeforeAddAndOlderRequestsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{Most: 1})
		in := make(chan string, 10)
		first := enter(t.Context(), g, "ADD", "first", in)
		synctest.Wait()
		old, young := WithArrival(t.Context()), WithArrival(t.Context())
		waiting := map[string]chan func(int64){}
		for _, w := range []struct {
			name, command string
			ctx           context.Context
		}{{"young", "ADD", young}, {"old", "ADD", old}, {"status", "STATUS", young}, {"del", "DEL", young}} {
			waiting[w.name] = enter(w.ctx, g, w.command, w.name, in)
			synctest.Wait()
		}
		if s := g.State(); s.Running != 1 || s.Waiting != 4 {
			t.Errorf("state %+v", s)
		}
		(<-first)(0)
		var order []string
		for range 5 {
			name := <-in
			order = append(order, name)
			if leave, ok := waiting[name]; ok {
				(<-leave)(0)
			}
		}
		if want := []string{"first", "del", "status", "old", "young"}; !slices.Equal(order, want) {
			t.Errorf("let in as %q, want %q", order, want)
		}
		if s := g.State(); s.Running != 0 || s.Used != 0 || s.Admitted != 5 {
			t.Errorf("in the end %+v", s)
		}
	})
}

func TestMemoryBoundsHowManyRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := int64(2*firstCost + 1)
		g := New(Options{Budget: func() int64 { return budget }})
		in := make(chan string, 10)
		a := enter(t.Context(), g, "ADD", "p", in)
		b := enter(t.Context(), g, "ADD", "p", in)
		synctest.Wait()
		for range 3 {
			enter(t.Context(), g, "ADD", "p", in)
		}
		synctest.Wait()
		if s := g.State(); s.Running != 2 || s.Waiting != 3 {
			t.Fatalf("with room for two: %+v", s)
		}
		// One that turns out to be small makes room for more than itself.
		(<-a)(firstCost / 15)
		synctest.Wait()
		if s := g.State(); s.Running != 4 || s.Waiting != 0 {
			t.Errorf("after a small one: %+v", s)
		}
		budget = 1 // the limit was lowered: who runs, runs; the next one waits until it is alone
		enter(t.Context(), g, "ADD", "p", in)
		(<-b)(0)
		synctest.Wait()
		if s := g.State(); s.Running != 3 || s.Waiting != 1 {
			t.Errorf("with a tiny budget: %+v", s)
		}
	})
}

func TestImpatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{Most: 1, Patience: time.Minute})
		in := make(chan string, 10)
		hold := enter(t.Context(), g, "ADD", "hold", in)
		<-in
		ctx, cancel := context.WithCancel(t.Context())
		enter(ctx, g, "ADD", "left", in)
		del := enter(t.Context(), g, "DEL", "del", in)
		synctest.Wait()
		cancel()
		if got := <-in; got != "left: context canceled" {
			t.Errorf("got %q", got)
		}
		start := time.Now()
		if _, err := g.Enter(t.Context(), "ADD", "late"); !errors.Is(err, ErrPatience) || time.Since(start) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		(<-hold)(0)
		(<-del)(0)
		if s := g.State(); s.Running != 0 || s.Waiting != 0 || s.GaveUp != 2 {
			t.Errorf("in the end %+v", s)
		}
	})
}

func TestCosts(t *testing.T) {
	c := costs{}
	c.learn("p", 10<<20)
	if got := c.of("p"); got != 15<<20 {
		t.Errorf("learned %d", got)
	}
	c.learn("p", 2<<20)
	if got := c.of("p"); got != 15<<20-(12<<20)/8 {
		t.Errorf("a smaller one makes it %d", got)
	}
	c.learn("p", 0)
	if c.of("q") != firstCost {
		t.Errorf("an unknown one costs %d", c.of("q"))
	}
}

func TestBudgetOfACgroup(t *testing.T) {
	for _, tt := range []struct{ limit, own, kernel, want int64 }{
		{0, 30 << 20, 5 << 20, 0}, {50 << 20, 10 << 20, 0, 25 << 20}, {100 << 20, 40 << 20, 0, 50 << 20}, {10 << 20, 0, 0, 1},
		{100 << 20, 40 << 20, 30 << 20, 23 << 20}, {50 << 20, 10 << 20, 40 << 20, 1}, {50 << 20, 10 << 20, 60 << 20, 1},
	} {
		if got := budgetOf(tt.limit, tt.own, tt.kernel); got != tt.want {
			t.Errorf("limit %d, own %d, kernel %d: %d, want %d", tt.limit, tt.own, tt.kernel, got, tt.want)
		}
	}
}

func TestKernelOf(t *testing.T) {
	const stat = "anon 5242880\nfile 1048576\nkernel 20971520\nkernel_stack 65536\nslab_reclaimable 4194304\nslab_unreclaimable 15728640\n"
	if got := kernelOf(stat); got != 16<<20 {
		t.Errorf("the kernel has %d bytes, want 16 MiB", got)
	}
	if got := kernelOf("anon 5242880\nkernel_stack 1048576\nslab_reclaimable 4194304\nslab_unreclaimable 2097152\n"); got != 3<<20 {
		t.Errorf("an older kernel has %d bytes, want 3 MiB", got)
	}
}

// TestHangingNetworkLeavesASlot has a network hang in every slot at first. After
// that it never has the last one, and its DELs do not go first.
func TestHangingNetworkLeavesASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hang = 10 * time.Second
		for _, most := range []int{1, 2, 3, 8} {
			g := New(Options{Most: most})
			bad := func(sandbox string) context.Context {
				return WithOwner(WithArrival(t.Context()), Owner{sandbox, "tenant", "sick"})
			}
			ctx, stop := context.WithCancel(t.Context())
			for i := range 4 + most {
				go func() {
					for ctx.Err() == nil {
						leave, err := g.Enter(bad(string(rune('a'+i))), "DEL", "p")
						if err != nil {
							return
						}
						time.Sleep(hang)
						leave(0)
					}
				}()
			}
			time.Sleep(hang / 2)
			start := time.Now()
			for range 6 { // the plugins of one ADD
				leave, err := g.Enter(WithOwner(WithArrival(t.Context()), Owner{"mine", "other", "fine"}), "ADD", "p")
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond)
				leave(0)
			}
			if took := time.Since(start); took > hang+time.Second {
				t.Errorf("with %d slots an ADD beside a network that hangs took %s", most, took)
			}
			stop()
			time.Sleep(time.Duration(4+most) * 2 * hang)
			if s := g.State(); s.Running != 0 || s.Waiting != 0 {
				t.Errorf("with %d slots, in the end: %+v", most, s)
			}
		}
	})
}

// TestNamespacesShareTheSlots lets the namespace in next that has fewest.
func TestNamespacesShareTheSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Options{Most: 2})
		in := make(chan string, 10)
		of := func(namespace string) context.Context {
			return WithOwner(WithArrival(t.Context()), Owner{namespace + "-pod", namespace, namespace + "-net"})
		}
		first := enter(of("busy"), g, "ADD", "busy-1", in)
		second := enter(of("busy"), g, "ADD", "busy-2", in)
		synctest.Wait()
		enter(of("busy"), g, "ADD", "busy-3", in)
		synctest.Wait()
		enter(of("other"), g, "ADD", "other", in)
		synctest.Wait()
		(<-first)(0)
		synctest.Wait()
		<-in
		<-in
		if next := <-in; next != "other" {
			t.Errorf("%s was let in next, want the namespace without a slot", next)
		}
		(<-second)(0)
	})
}
