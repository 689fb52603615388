// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// StatusNames is a sandbox's status as "name as interface".
func StatusNames(e *thick.Env, s *node.Sandbox) []string {
	ginkgo.GinkgoHelper()
	var names []string
	for _, element := range e.Status(s) {
		name, _ := element["name"].(string)
		ifName, _ := element["interface"].(string)
		names = append(names, name+" as "+ifName)
	}
	return names
}

// Published awaits that a sandbox's pod shows so many elements, and returns them. A
// status that the API server does not take at once may come after the answer (RES-14).
func Published(e *thick.Env, s *node.Sandbox, elements int) (status []map[string]any) {
	ginkgo.GinkgoHelper()
	Eventually(func() int {
		status = e.Status(s)
		return len(status)
	}).WithTimeout(publishLimit).WithPolling(node.PollInterval).Should(Equal(elements), "elements of network-status")
	return status
}

// ShowsNames awaits that a sandbox's pod shows these elements, as StatusNames has them.
func ShowsNames(e *thick.Env, s *node.Sandbox, names ...string) {
	ginkgo.GinkgoHelper()
	Eventually(func() []string { return StatusNames(e, s) }).WithTimeout(publishLimit).WithPolling(node.PollInterval).
		Should(Equal(names), "elements of network-status")
}

// Settled gives a status of so many elements the time to come after the answer, and
// returns what there is. That it comes is NET-09's and HOT-07's.
func Settled(e *thick.Env, s *node.Sandbox, elements int) (status []map[string]any) {
	_ = node.Await(func() []string {
		if status = e.Status(s); len(status) < elements {
			return []string{"no status"}
		}
		return nil
	}, 3*time.Second)
	return status
}

// publishLimit is how long a status may be missing after the answer.
const publishLimit = 10 * time.Second

// ResultInterface is an interface of a result; a host's end has no sandbox.
func ResultInterface(name, mac, sandbox string, mtu int) map[string]any {
	i := map[string]any{"name": name, "mac": mac, "mtu": mtu}
	if sandbox != "" {
		i["sandbox"] = sandbox
	}
	return i
}
