// SPDX-License-Identifier: Apache-2.0

package conformance

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
)

// Call is one execution of a fake delegate, as it recorded it itself.
type Call struct {
	Command     string `json:"command"`
	Type        string `json:"type"`
	Network     string `json:"network"`
	Interface   string `json:"interface"`
	ContainerID string `json:"containerID"`
	Netns       string `json:"netns"`
	Path        string `json:"path"`
	Args        string `json:"args"`
	// Env is the whole environment, Stdin the exact bytes of the configuration.
	Env   []string `json:"env"`
	Stdin []byte   `json:"stdin"`
	// End is zero while the plugin runs, and for one that was killed.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	PID   int       `json:"pid"`
	PPID  int       `json:"ppid"`
	PGID  int       `json:"pgid"`
	// ChildPID is the process that the step's Child started.
	ChildPID int `json:"childPID"`
}

// Config decodes the configuration that the delegate got.
func (c Call) Config() map[string]any {
	ginkgo.GinkgoHelper()
	var conf map[string]any
	Expect(json.Unmarshal(c.Stdin, &conf)).To(Succeed())
	return conf
}

// Calls lists all calls of fake delegates so far, in the order in which they
// began.
func (e *Env) Calls() []Call {
	ginkgo.GinkgoHelper()
	entries, err := os.ReadDir(e.CallsDir)
	Expect(err).NotTo(HaveOccurred())
	var calls []Call
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(entry.Name(), ".json") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(e.CallsDir, entry.Name()))
		Expect(err).NotTo(HaveOccurred())
		var c Call
		Expect(json.Unmarshal(data, &c)).To(Succeed())
		calls = append(calls, c)
	}
	slices.SortFunc(calls, func(a, b Call) int { return a.Start.Compare(b.Start) })
	return calls
}

// CallsOf lists the calls of one command.
func (e *Env) CallsOf(command string) []Call {
	ginkgo.GinkgoHelper()
	return slices.DeleteFunc(e.Calls(), func(c Call) bool { return c.Command != command })
}

// CallsFor lists the calls of one command for one sandbox.
func (e *Env) CallsFor(command string, s *Sandbox) []Call {
	ginkgo.GinkgoHelper()
	return slices.DeleteFunc(e.CallsOf(command), func(c Call) bool { return c.ContainerID != s.ID })
}

// AwaitCalls waits, ten seconds at the most, until n calls match, and returns
// all that do.
func (e *Env) AwaitCalls(ctx context.Context, n int, match func(Call) bool) []Call {
	ginkgo.GinkgoHelper()
	var matching []Call
	Eventually(func() int {
		matching = slices.DeleteFunc(e.Calls(), func(c Call) bool { return !match(c) })
		return len(matching)
	}).WithContext(ctx).WithTimeout(10*time.Second).WithPolling(pollInterval).Should(BeNumerically(">=", n), "calls of delegates")
	return matching
}

// ResetCalls forgets the calls so far.
func (e *Env) ResetCalls() {
	ginkgo.GinkgoHelper()
	entries, err := os.ReadDir(e.CallsDir)
	Expect(err).NotTo(HaveOccurred())
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".json") {
			Expect(os.Remove(filepath.Join(e.CallsDir, entry.Name()))).To(Succeed())
		}
	}
}

// alive says whether a process of the case's pid namespace still runs.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// networksOf lists the network of each call, to compare an order.
func networksOf(calls []Call) []string {
	var names []string
	for _, c := range calls {
		names = append(names, c.Network)
	}
	return names
}
