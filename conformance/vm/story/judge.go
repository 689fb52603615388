// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/vm/event"
)

// releaseLimit is how long a daemon may take to release what was lost.
const releaseLimit = 10 * time.Second

// await looks for releaseLimit whether a list is empty. It looks seldom: an emulated
// machine has one processor, which the daemon needs.
func await(list func() []string) bool {
	return node.AwaitEvery(list, releaseLimit, suite.Patience(releaseLimit)/50)
}

// story is one boot.
type story struct {
	event.Story
	settings thick.Settings
	e        *thick.Env

	sending sync.Mutex
	port    *os.File

	// daemon is held by requests that need one, and as a whole by whoever kills it.
	daemon  sync.RWMutex
	serving *thick.Daemon

	// holders are the sandboxes that have an address, by network and address.
	holding sync.Mutex
	holders map[string]string
}

// furnish puts on the disk what survives: the daemon's directory, and the leases.
func (s *story) furnish() {
	cache := filepath.Join(s.Kept, "cache")
	Expect(os.MkdirAll(cache, 0o700)).To(Succeed())
	Expect(unix.Mount(cache, s.e.CacheDir, "", unix.MS_BIND, "")).To(Succeed())
	s.e.RealPlugins()
	s.holders = map[string]string{}
	s.e.DefaultNetwork(s.bridge("default", 0))
	s.e.Definition("second", s.bridge("second", 1))
}

// bridge is a network of real plugins. Each boot has the same networks with leases
// of its own: a daemon that deletes by what it is configured with now, and not by
// what it has recorded, leaves those of the boot before.
func (s *story) bridge(name string, subnet int) string {
	return string(node.MustJSON(map[string]any{"cniVersion": "1.0.0", "name": name, "plugins": []any{map[string]any{
		"type": "bridge", "bridge": fmt.Sprintf("br%d", subnet), "ipam": map[string]any{
			"type": "host-local", "dataDir": filepath.Join(s.Leases, fmt.Sprint("boot-", s.Boot)),
			"ranges": []any{[]any{map[string]any{"subnet": fmt.Sprintf("10.%d.0.0/16", 64+subnet)}}},
		},
	}}}))
}

func (s *story) start(ctx context.Context) {
	s.serving = s.e.Start(ctx)
	s.send(event.Event{Kind: event.Served})
}

func (s *story) stop(ctx context.Context) { s.serving.Stop(ctx) }

// look counts what is on the disk before a daemon has seen it.
func (s *story) look() map[string]int {
	held, empty := s.leases()
	return map[string]int{"leases": len(held), "empty": empty, "records": len(s.records()), "deletes": len(s.Lost)}
}

// judge looks at what becomes of it, and sends what it has found.
func (s *story) judge(ctx context.Context, counts map[string]int) {
	ginkgo.By("what the boots before have left")
	if s.DeletesAtOnce {
		s.deleteLost(ctx)
	}
	left := func() []string {
		held, _ := s.leases()
		return held
	}
	released := await(left)
	if !released {
		s.found("RES-02: what sandboxes of an earlier boot held is not released: %s\nrecords: %s", strings.Join(left(), ", "), strings.Join(s.records(), ", "))
	}
	if !s.DeletesAtOnce {
		s.deleteLost(ctx)
	}
	if held := left(); len(held) > 0 {
		s.found("RES-15: leases that are left after the runtime's DELs: %s", strings.Join(held, ", "))
	}
	if released && !await(s.records) {
		s.found("RES-15: records that are left after the runtime's DELs: %s", strings.Join(s.records(), ", "))
	}
	s.forgetLeases()
	s.send(event.Event{Kind: event.Judged, Counts: counts, Slow: s.Slow})
}

// forgetLeases removes the leases of earlier boots that name nobody.
func (s *story) forgetLeases() {
	dirs, err := filepath.Glob(filepath.Join(s.Leases, "boot-*"))
	Expect(err).NotTo(HaveOccurred())
	for _, dir := range dirs {
		Expect(os.RemoveAll(dir)).To(Succeed())
	}
}

// leases lists what host-local holds, as "directory/address of container", and
// counts the leases that name nobody: a power cut between host-local's making of a
// file and writing it leaves one, which no DEL finds.
func (s *story) leases() (held []string, empty int) {
	files, err := filepath.Glob(filepath.Join(s.Leases, "boot-*", "*", "*.*.*.*"))
	Expect(err).NotTo(HaveOccurred())
	for _, file := range files {
		content, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // released meanwhile
		}
		Expect(err).NotTo(HaveOccurred())
		owner, _, _ := strings.Cut(string(content), "\r\n")
		if strings.Trim(owner, "\x00") == "" {
			empty++
			continue
		}
		name, _ := filepath.Rel(s.Leases, file)
		held = append(held, fmt.Sprintf("%s of %.12s", name, owner))
	}
	return held, empty
}

// records lists what the daemon has recorded, where it can be asked.
func (s *story) records() []string {
	if s.e.ListRecords == nil {
		return nil
	}
	lines, err := s.e.ListRecords()
	Expect(err).NotTo(HaveOccurred(), "what the daemon has recorded")
	return lines
}

// deleteLost asks for the DELs that a runtime owes to the sandboxes of the boots
// before. Their namespaces went with the kernel.
func (s *story) deleteLost(ctx context.Context) {
	for _, lost := range s.Lost {
		box := s.e.NewSandbox(lost.Namespace, node.ContainerID(lost.ID), node.PodName(lost.Pod), node.WithoutNetns())
		box.PodUID, box.Netns = lost.UID, lost.Netns
		if run := s.e.Shim(ctx, "DEL", box); run.ExitCode != 0 {
			s.found("RES-15: the runtime's DEL of %.12s, a sandbox of an earlier boot, fails: %s %s", lost.ID, run.Stdout, run.Stderr)
			continue
		}
		s.send(event.Event{Kind: event.Answered, Command: "DEL", Sandbox: &lost, OK: true})
	}
}
