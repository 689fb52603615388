// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"os"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// OnLoaded changes each record that is loaded.
func OnLoaded(f func(rec *ledger.Record)) func(*Assembly) {
	return func(a *Assembly) {
		a.OnRecords(func(r *Records, next attach.Ledger) {
			r.OnLoad = func(containerID string) (*ledger.Record, error) {
				rec, err := next.Load(containerID)
				if err == nil {
					f(rec)
				}
				return rec, err
			}
		})
	}
}

// Exists reports whether there is anything at a path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
