// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/fakes/podresources"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// claimed is a cluster in which every pod has these devices by claims.
type claimed struct {
	cluster.Cluster
	devices []cluster.Device
	err     error
}

func (c claimed) ClaimedDevices(context.Context, *cluster.Pod) ([]cluster.Device, error) {
	return c.devices, c.err
}

func serve(t *testing.T) (*podresources.Server, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	s, err := podresources.Serve(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, socket
}

func TestOf(t *testing.T) {
	kubelet, socket := serve(t)
	kubelet.Set("ns", "p",
		podresources.Device{Container: "a", Resource: "x/nic", IDs: []string{"3", "1"}},
		podresources.Device{Container: "b", Resource: "x/nic", IDs: []string{"2", "0", "3"}},
		podresources.Device{Container: "b", Resource: "x/ib", IDs: []string{"7"}})
	kubelet.Set("other", "p", podresources.Device{Container: "a", Resource: "x/nic", IDs: []string{"8"}})
	kubelet.Set("ns", "other", podresources.Device{Container: "a", Resource: "x/nic", IDs: []string{"9"}})
	from := claimed{devices: []cluster.Device{{Resource: "x/ib", ID: "5"}, {Resource: "claim/vf", ID: "6"}, {Resource: "x/ib", ID: "7"}}}

	got, err := NewSource(socket, from).Of(t.Context(), &cluster.Pod{Namespace: "ns", Name: "p"})
	want := map[string][]string{"x/nic": {"1", "3", "0", "2"}, "x/ib": {"7", "5"}, "claim/vf": {"6"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	// A cluster without claims, and a pod that the kubelet does not list.
	got, err = NewSource(socket, nil).Of(t.Context(), &cluster.Pod{Namespace: "ns", Name: "unknown"})
	if err != nil || len(got) != 0 {
		t.Errorf("of a pod that is not listed: %v, %v", got, err)
	}
}

func TestOfErrors(t *testing.T) {
	kubelet, socket := serve(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "kubelet.sock")
	away := errors.New("the API server is away")
	ask := func(socket string, c cluster.Cluster) error {
		_, err := NewSource(socket, c).Of(t.Context(), &cluster.Pod{Namespace: "ns", Name: "p"})
		return err
	}
	expect := func(err error, parts ...string) {
		t.Helper()
		if err == nil {
			t.Fatal("no error")
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%q does not say %q", err, p)
			}
		}
	}
	err := ask(missing, nil)
	expect(err, missing, "podResourcesSocket")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap fs.ErrNotExist", err)
	}
	expect(ask(file, nil), file, "no unix socket", "podResourcesSocket")
	if err := ask(socket, claimed{err: away}); !errors.Is(err, away) {
		t.Errorf("a failure of the cluster: %v", err)
	}
	kubelet.Fail("out of order")
	expect(ask(socket, nil), socket, "out of order")
}

// The kubelet's answer grows with the node's pods: gRPC's own limit of 4 MiB
// must not be in the way.
func TestLargeAnswer(t *testing.T) {
	kubelet, socket := serve(t)
	long := strings.Repeat("i", 5<<20)
	kubelet.Set("ns", "p", podresources.Device{Container: "a", Resource: "x/nic", IDs: []string{long}})
	got, err := NewSource(socket, nil).Of(t.Context(), &cluster.Pod{Namespace: "ns", Name: "p"})
	if err != nil || len(got["x/nic"]) != 1 || len(got["x/nic"][0]) != len(long) {
		t.Errorf("%d devices, %v", len(got["x/nic"]), err)
	}
}
