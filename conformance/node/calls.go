// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/fakes/script"
)

// Calls lists all calls of fake delegates so far, in the order in which they
// began.
func (n *Node) Calls() []script.Call {
	ginkgo.GinkgoHelper()
	entries, err := os.ReadDir(n.CallsDir)
	Expect(err).NotTo(HaveOccurred())
	var calls []script.Call
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(entry.Name(), ".json") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(n.CallsDir, entry.Name()))
		Expect(err).NotTo(HaveOccurred())
		var c script.Call
		Expect(json.Unmarshal(data, &c)).To(Succeed())
		calls = append(calls, c)
	}
	slices.SortFunc(calls, func(a, b script.Call) int { return a.Start.Compare(b.Start) })
	return calls
}

// CallsOf lists the calls of one command.
func (n *Node) CallsOf(command string) []script.Call {
	ginkgo.GinkgoHelper()
	return slices.DeleteFunc(n.Calls(), func(c script.Call) bool { return c.Command != command })
}

// CallsFor lists the calls of one command for one sandbox.
func (n *Node) CallsFor(command string, s *Sandbox) []script.Call {
	ginkgo.GinkgoHelper()
	return slices.DeleteFunc(n.CallsOf(command), func(c script.Call) bool { return c.ContainerID != s.ID })
}

// AwaitCalls waits, ten seconds at the most, until so many calls match, and returns
// all that do.
func (n *Node) AwaitCalls(ctx context.Context, count int, match func(script.Call) bool) []script.Call {
	ginkgo.GinkgoHelper()
	var matching []script.Call
	Eventually(func() int {
		matching = slices.DeleteFunc(n.Calls(), func(c script.Call) bool { return !match(c) })
		return len(matching)
	}).WithContext(ctx).WithTimeout(10*time.Second).WithPolling(PollInterval).Should(BeNumerically(">=", count), "calls of delegates")
	return matching
}

// ResetCalls forgets the calls so far.
func (n *Node) ResetCalls() {
	ginkgo.GinkgoHelper()
	entries, err := os.ReadDir(n.CallsDir)
	Expect(err).NotTo(HaveOccurred())
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".json") {
			Expect(os.Remove(filepath.Join(n.CallsDir, entry.Name()))).To(Succeed())
		}
	}
}

// Alive says whether a process of the case's pid namespace still runs.
func Alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", Itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// NetworksOf lists the network of each call, to compare an order.
func NetworksOf(calls []script.Call) []string {
	var names []string
	for _, c := range calls {
		names = append(names, c.Network)
	}
	return names
}

// CallResults are the calls of a case as a report keeps them, and how many
// earlier ones it leaves out.
func CallResults(calls []script.Call) (kept []report.CallResult, before int) {
	before = max(0, len(calls)-report.MaxCalls)
	for _, c := range calls[before:] {
		r := report.CallResult{After: c.Start.Sub(calls[0].Start), Command: c.Command, Network: c.Network, Interface: c.Interface,
			ContainerID: c.ContainerID, PID: c.PID}
		if !c.End.IsZero() {
			took := c.End.Sub(c.Start)
			r.Took = &took
		}
		kept = append(kept, r)
	}
	return kept, before
}
