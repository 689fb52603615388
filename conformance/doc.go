// SPDX-License-Identifier: Apache-2.0

// Package conformance judges thick CNI plugins: a shim that the container
// runtime executes, and the daemon behind its socket.
//
// Each Case is one requirement as a value: id, level, profile, title, source,
// what it needs of a target, and a body that Ginkgo runs. A Target says how an
// implementation is started. Run executes cases against a target, each in a
// process of its own with its own network, mount and process namespaces, so
// that whatever a faulty implementation leaves is seen and goes with it; the
// Report says what passed, failed and was skipped, and why.
//
// Two more kinds of target are judged in the same way: a single CNI plugin (see
// package plugin below), and a runtime, which is whoever executes CNI plugins (see
// package runtime below).
//
// The suite knows nothing of the daemon that it judges but the wire contract
// (package pkg/api) and what the target says. Somebody else's kinds of target,
// profiles and cases are judged beside its own; conformance/example-kind is a
// module that has them.
//
// This package and pkg/api are the stable ones of the module. The packages below
// this one may change with any release.
package conformance
