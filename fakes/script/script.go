// SPDX-License-Identifier: Apache-2.0

// Package script has what a fake delegate is told to do at each command, and what
// it records of each execution.
package script

import (
	"github.com/containernetworking/cni/pkg/types"
)

// Fake is one fake plugin of a network configuration list, and what it does at
// each command.
type Fake struct {
	// Type is the plugin's executable; empty means the fake itself.
	Type string
	// Capabilities are those that the plugin declares.
	Capabilities map[string]bool
	// Extra are further keys of the plugin's configuration.
	Extra map[string]any

	Add, Del, Check, GC, Status FakeStep
}

// FakeStep is what a fake delegate does at one command, its fields in this
// order: the zero value succeeds with a sensible result.
type FakeStep struct {
	// Stderr and StderrBytes are printed on stderr.
	Stderr      string `json:"stderr,omitempty"`
	StderrBytes int64  `json:"stderrBytes,omitempty"`
	// Delay, such as "100ms", and WaitFor, a path that has to appear, come
	// before anything else is done.
	Delay   string `json:"delay,omitempty"`
	WaitFor string `json:"waitFor,omitempty"`
	// Leave goes where a simple daemon does not look for the plugin: "group" puts
	// it into its parent's process group, "stop" stops it, "session" starts a
	// process that never ends in a session of its own, and "orphan" one whose
	// parent has ended, too.
	Leave string `json:"leave,omitempty"`
	// Child starts a process that never ends; Hang never returns.
	Child bool `json:"child,omitempty"`
	Hang  bool `json:"hang,omitempty"`
	// Signal ends the plugin by a signal, such as "SIGSEGV".
	Signal string `json:"signal,omitempty"`
	// Error is the CNI error to fail with.
	Error *types.Error `json:"error,omitempty"`
	// Stdout, so many more bytes, and Exit are what it ends with instead.
	Stdout      string `json:"stdout,omitempty"`
	StdoutBytes int64  `json:"stdoutBytes,omitempty"`
	Exit        int    `json:"exit,omitempty"`
	// Times limits Leave to Exit to the first calls of the command for one
	// network, container and interface; later ones succeed.
	Times int `json:"times,omitempty"`
	// Veth makes ADD create a veth pair in the sandbox, and DEL remove it.
	Veth bool `json:"veth,omitempty"`
	// Addresses, with their prefix length, are put on the veth and into the
	// result.
	Addresses []string `json:"addresses,omitempty"`
	// DeviceInfo is written by ADD to the file that runtimeConfig names for it.
	DeviceInfo any `json:"deviceInfo,omitempty"`
	// Mark is a word that ADD appends to dns.search of its result, so that a
	// result tells which plugins it has come through.
	Mark string `json:"mark,omitempty"`
	// Result is printed instead of the default result.
	Result any `json:"result,omitempty"`
	// Pool makes the fake an IPAM plugin.
	Pool *Pool `json:"pool,omitempty"`
}

// Pool is what a fake IPAM plugin hands out: an address of a subnet to each
// container's interface.
type Pool struct {
	// Leases is a directory with a symbolic link for each address that is taken, to
	// container id, interface and namespace, a line each.
	Leases string `json:"leases"`
	// Subnets are the ranges, one address of each is handed out: the first after
	// the gateway, which is the subnet's first.
	Subnets []string `json:"subnets"`
	// Routes are the result's, destinations by way of the gateway.
	Routes []string `json:"routes,omitempty"`
}

// Steps is what a fake does at each command, as it reads it.
type Steps struct {
	// Calls is the directory for the records.
	Calls  string    `json:"calls"`
	ADD    *FakeStep `json:"ADD,omitempty"`
	DEL    *FakeStep `json:"DEL,omitempty"`
	CHECK  *FakeStep `json:"CHECK,omitempty"`
	GC     *FakeStep `json:"GC,omitempty"`
	STATUS *FakeStep `json:"STATUS,omitempty"`
}
