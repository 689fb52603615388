// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAwaitKnowsHowAPluginEnded compares what the kernel says of a process that
// has not been waited for with what waiting for it returns: the group of a
// plugin that failed is killed in between, while the number is still its own.
func TestAwaitKnowsHowAPluginEnded(t *testing.T) {
	for script, failed := range map[string]bool{
		"exit 0": false, "exit 1": true, "exit 255": true, "kill -KILL $$": true, "kill -SEGV $$": true,
	} {
		p, err := startProcess(plugin(t, script), os.Environ(), nil, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		p.read(io.Discard, io.Discard, nil)
		if ended, got := p.await(); !ended || got != failed {
			t.Errorf("%s: failed is %t, want %t", script, got, failed)
		}
		if err := unix.Kill(p.pid, 0); err != nil {
			t.Errorf("%s: the number is not the plugin's any more: %v", script, err)
		}
		status, err := p.wait()
		if err != nil || (status != 0) != failed {
			t.Errorf("%s: ended with %v, %v", script, status, err)
		}
		p.close()
	}
}
