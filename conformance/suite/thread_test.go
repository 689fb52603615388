// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A goroutine that starts while main waits soon lands on the main thread, as
// the sandboxes of a case did.
func TestOwnThreadIsNeverTheMainThread(t *testing.T) {
	for range 50 {
		err := OnOwnThread(func() error {
			if unix.Gettid() == os.Getpid() {
				t.Error("f ran on the main thread, which never ends")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
