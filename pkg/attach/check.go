// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
)

// Check runs CHECK for every attachment of a sandbox (CHECK-01), each with the
// configuration and the result of its ADD, and returns the first failure. It
// changes nothing (CHECK-07).
func (e *Engine) Check(ctx context.Context, r *Request) error {
	rec, release, err := e.hold(ctx, r)
	if err != nil {
		return err
	}
	defer release()
	if err := e.findOwn(rec, r.Netns); err != nil {
		return err
	}
	for i := range rec.Attachments {
		if rec.Attachments[i].State != "" {
			continue // no client has it (HOT-10)
		}
		c, err := e.call(rec, &rec.Attachments[i], r.Netns)
		if err != nil {
			return err
		}
		if err := e.check(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
