// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// told is what a follower says next, "[]" when nothing has changed: that is awaited
// for a moment only.
func told(t *testing.T, next func(context.Context) []PodChange, want string) string {
	t.Helper()
	limit := 10 * time.Second
	if want == "[]" {
		limit = 50 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var all []string
	for _, c := range next(ctx) {
		name := c.Namespace + "/" + c.Name
		if c.Gone {
			name += " gone"
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

func TestPodCacheTellsOfChanges(t *testing.T) {
	cache := newPodCache(0)
	k := &Kubernetes{pods: cache}
	pod := func(name, version, networks string, change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: "u", ResourceVersion: version, Annotations: map[string]string{"k8s.v1.cni.cncf.io/networks": networks}}}
		if change != nil {
			change(p)
		}
		return p
	}
	steps := []struct {
		what string
		do   func() error
		want string
	}{
		{"the first list", func() error { return cache.Replace([]any{pod("a", "1", "x", nil), pod("b", "2", "", nil)}, "2") }, "[ns/a ns/b]"},
		{"nothing new", func() error { return cache.Update(pod("a", "3", "x", nil)) }, "[]"},
		{"a container's status", func() error {
			return cache.Update(pod("a", "4", "x", func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }))
		}, "[]"},
		{"its address", func() error {
			return cache.Update(pod("a", "5", "x", func(p *corev1.Pod) { p.Status.PodIP = "192.0.2.1" }))
		}, "[ns/a]"},
		{"its annotation", func() error {
			return cache.Update(pod("a", "6", "y", func(p *corev1.Pod) { p.Status.PodIP = "192.0.2.1" }))
		}, "[ns/a]"},
		{"another one", func() error { return cache.Add(pod("c", "7", "", nil)) }, "[ns/c]"},
		{"a list without one", func() error { return cache.Replace([]any{pod("b", "2", "", nil), pod("c", "7", "", nil)}, "8") }, "[ns/a gone]"},
		{"a pod that goes", func() error { return cache.Delete(pod("b", "9", "", nil)) }, "[ns/b gone]"},
	}
	if err := steps[0].do(); err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if step.what != steps[0].what {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
		}
		if got := told(t, k.ChangedPods, step.want); got != step.want {
			t.Errorf("%s: told %s, want %s", step.what, got, step.want)
		}
	}
	if p, ok := k.KnownPod("ns", "c"); !ok || p.OlderThan(&Pod{version: 7}) || !p.OlderThan(&Pod{version: 8}) {
		t.Errorf("known: %v, %+v", ok, p)
	}
}

func TestDirectoryTellsOfChanges(t *testing.T) {
	dir := t.TempDir()
	write := func(name, networks string) {
		text := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: ns, annotations: {k8s.v1.cni.cncf.io/networks: %q}}\n", name, networks)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "x")
	write("b", "x")
	d, err := OpenDirectory(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"all at first", func() {}, "[ns/a ns/b]"},
		{"one changes", func() { write("a", "x,y") }, "[ns/a]"},
		{"one is removed", func() { _ = os.Remove(filepath.Join(dir, "b.yaml")) }, "[ns/b gone]"},
		{"the directory is away", func() { _ = os.Rename(dir, dir+".away") }, "[]"},
		{"and is back", func() { _ = os.Rename(dir+".away", dir) }, "[ns/a]"},
	} {
		step.do()
		d.refresh()
		if got := told(t, d.ChangedPods, step.want); got != step.want {
			t.Errorf("%s: told %s, want %s", step.what, got, step.want)
		}
	}
}
