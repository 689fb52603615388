// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"
)

// Check runs CHECK for every attachment that a sandbox got with the ADD of the
// same interface name, and for what was hot-plugged to it (CHECK-01), each with the
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
	found := false
	for i := range rec.Attachments {
		if rec.Attachments[i].State != "" || !belongs(rec, &rec.Attachments[i], r.Interface) {
			continue // no client has it (HOT-10), or it is another's (ADD-17)
		}
		found = true
		c, err := e.call(rec, &rec.Attachments[i], r.Netns)
		if err != nil {
			return err
		}
		if err := e.check(ctx, c); err != nil {
			return err
		}
	}
	if !found && !isWhole(rec, r.Interface) {
		return types.NewError(types.ErrUnknownContainer, fmt.Sprintf("container %s is not attached as %s", r.ContainerID, r.Interface), "")
	}
	return nil
}
