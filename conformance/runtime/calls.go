// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/fakes/script"
)

// awaitLimit is how long the suite waits for a plugin to be executed.
const awaitLimit = 10 * time.Second

// CallsOf lists the executions of one command of CNI for an attachment, in the
// order in which they began.
func (e *Env) CallsOf(command string, a *Attachment) []script.Call {
	ginkgo.GinkgoHelper()
	all := e.Calls()
	e.learn(a, all)
	return slices.DeleteFunc(all, func(c script.Call) bool { return c.Command != command || !e.finds(a, c) })
}

// learn takes the container's id from an ADD where the caller does not choose it.
func (e *Env) learn(a *Attachment, all []script.Call) {
	takes := e.Driver.Takes()
	if _, finds := e.Driver.(Finder); finds || takes.ID || !takes.Netns {
		return
	}
	for _, c := range all {
		if c.Command == "ADD" && c.Netns == a.Netns {
			a.ID = c.ContainerID
		}
	}
}

func (e *Env) finds(a *Attachment, c script.Call) bool {
	if f, ok := e.Driver.(Finder); ok {
		return f.Finds(a, c)
	}
	return c.ContainerID == a.ID
}

// AwaitCalls waits, ten seconds at the most, until a command has been executed so
// many times for an attachment, and returns those executions.
func (e *Env) AwaitCalls(ctx context.Context, command string, a *Attachment, count int) []script.Call {
	ginkgo.GinkgoHelper()
	var calls []script.Call
	Eventually(func() int {
		calls = e.CallsOf(command, a)
		return len(calls)
	}).WithContext(ctx).WithTimeout(awaitLimit).WithPolling(node.PollInterval).Should(BeNumerically(">=", count), "executions of plugins with %s", command)
	return calls
}

// Types lists the plugin of each execution.
func Types(calls []script.Call) []string {
	types := []string{}
	for _, c := range calls {
		types = append(types, c.Type)
	}
	return types
}

// Variable is an environment variable of an execution, and whether it was set.
func Variable(c script.Call, name string) (value string, set bool) {
	for _, v := range c.Env {
		if len(v) > len(name) && v[:len(name)] == name && v[len(name)] == '=' {
			value, set = v[len(name)+1:], true // the last one counts
		}
	}
	return value, set
}

// Fields are the top-level keys of what an execution got, each as it was written.
func Fields(c script.Call) map[string]json.RawMessage {
	ginkgo.GinkgoHelper()
	var fields map[string]json.RawMessage
	Expect(json.Unmarshal(c.Stdin, &fields)).To(Succeed(), "what %s of %s got", c.Command, c.Type)
	return fields
}

// Marks are the plugins through which the prevResult of an execution has come, nil
// when there is none.
func Marks(c script.Call) []string {
	ginkgo.GinkgoHelper()
	previous := Fields(c)["prevResult"]
	if previous == nil || string(previous) == "null" {
		return nil
	}
	var result struct {
		DNS struct {
			Search []string `json:"search"`
		} `json:"dns"`
	}
	Expect(json.Unmarshal(previous, &result)).To(Succeed(), "the prevResult that %s of %s got", c.Command, c.Type)
	return append([]string{}, result.DNS.Search...)
}
