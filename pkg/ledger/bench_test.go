// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
)

// BenchmarkSandbox is what one ADD and DEL of three networks write: Begin, two
// Saves and Remove, alone and with other sandboxes beside it, which share
// syncs of the directory.
func BenchmarkSandbox(b *testing.B) {
	for _, parallel := range []int{1, 16} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			s, err := Open(b.TempDir(), slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			b.SetParallelism(parallel)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := &Record{ContainerID: fmt.Sprintf("c%d", next.Add(1)), State: StateAdding, Interface: "eth0"}
					for i := range 3 {
						r.Attachments = append(r.Attachments, Attachment{Network: fmt.Sprintf("net-%d", i), Interface: fmt.Sprintf("net%d", i),
							Config: `{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"macvlan","master":"eth1","ipam":{"type":"host-local"}}]}`})
					}
					if err := s.Begin(r); err != nil {
						b.Error(err)
					}
					for _, r.State = range []State{StateAdded, StateDeleting} {
						if err := s.Save(r); err != nil {
							b.Error(err)
						}
					}
					if err := s.Remove(r.ContainerID); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
