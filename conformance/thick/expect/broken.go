// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
)

// Dead asserts that no delegate runs any more, nor what it started.
func Dead(calls []script.Call) {
	ginkgo.GinkgoHelper()
	for _, c := range calls {
		for _, pid := range []int{c.PID, c.ChildPID} {
			if pid != 0 {
				Eventually(node.Alive).WithArguments(pid).WithTimeout(3*time.Second).Should(BeFalse(),
					"process %d of %s of %s (plugin %d, child %d) still runs", pid, c.Command, c.Network, c.PID, c.ChildPID)
			}
		}
	}
}

// BrokenSteps are the ways in which a delegate fails without a CNI error.
var BrokenSteps = map[string]script.FakeStep{
	"segfault":    {Signal: "SIGSEGV"},
	"killed":      {Signal: "SIGKILL"},
	"garbled":     {Stdout: "Segmentation fault (core dumped)\n"},
	"half-result": {Stdout: `{"cniVersion":"1.0.0","ips":[{"address":"192.0.2.7/24"`},
	"array":       {Stdout: "[]"},
	"blank":       {Stdout: "\n"},
	"failing":     {Stdout: "panic: runtime error\n", Exit: 1},
	"mute":        {Exit: 1},
	"no-error":    {Stdout: "{}", Exit: 1},
	"flood":       {StdoutBytes: 100 << 20},
	"flood-fail":  {StdoutBytes: 100 << 20, Exit: 1},
	"noise":       {StderrBytes: 100 << 20, Exit: 1},
}

// PeakLine finds the peak of a process's resident memory in /proc/PID/status.
var PeakLine = regexp.MustCompile(`(?m)^VmHWM:\s+([0-9]+) kB$`)

// PeakMemory is the most memory that the daemon has ever had, in bytes; 0 for
// one without a process of its own.
func PeakMemory(e *thick.Env, d *thick.Daemon) int64 {
	ginkgo.GinkgoHelper()
	if !e.Supports(thick.FeatureProcess) {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	Expect(err).NotTo(HaveOccurred())
	found := PeakLine.FindSubmatch(status)
	Expect(found).To(HaveLen(2), "VmHWM in %s", status)
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	Expect(err).NotTo(HaveOccurred())
	return kilobytes << 10
}
