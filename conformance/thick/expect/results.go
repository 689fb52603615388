// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"github.com/onsi/ginkgo/v2"

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

// ResultInterface is an interface of a result; a host's end has no sandbox.
func ResultInterface(name, mac, sandbox string, mtu int) map[string]any {
	i := map[string]any{"name": name, "mac": mac, "mtu": mtu}
	if sandbox != "" {
		i["sandbox"] = sandbox
	}
	return i
}
