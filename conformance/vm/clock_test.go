// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestClock: time passes for a process that works, and for one that waits by itself,
// but not for one that is not let run.
func TestClock(t *testing.T) {
	for name, script := range map[string]string{"busy": "echo; while :; do :; done", "waiting": "echo; read forever"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
			_, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			output, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // it was killed
			}()
			if _, err := output.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			c := clockOf(cmd.Process.Pid)
			defer c.Stop()
			for deadline := time.After(time.Minute); c.passed == 0; {
				select {
				case <-c.C:
					c.tick()
				case <-deadline:
					t.Fatal("no time has passed in a minute")
				}
			}
			if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
				t.Fatalf("it has not stopped: %v, %v", status, err)
			}
			c.tick()
			c.passed = 0
			for range 3 {
				<-c.C
				c.tick()
			}
			if c.passed != 0 {
				t.Errorf("%s have passed for a process that is stopped", c.passed)
			}
		})
	}
}
