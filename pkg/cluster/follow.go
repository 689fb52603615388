// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	"github.com/thicket-cni/thicket/pkg/dirwatch"
)

// Run follows the changes of the directory, so that invalid manifests are
// reported when they are written and Ready is closed when the directory
// appears. It returns nil when ctx ends; an error means that the kernel
// refuses to watch.
func (d *Directory) Run(ctx context.Context) error {
	w, err := dirwatch.New(d.log, d.dir)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	d.refresh()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-w.Changed():
			if !open {
				return w.Err()
			}
			d.refresh()
		}
	}
}
