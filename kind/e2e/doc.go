// SPDX-License-Identifier: Apache-2.0

// Package e2e holds tests with real pods on a real cluster: make kind-e2e makes
// one, runs them, and removes it. What a daemon owes its callers is the
// conformance suite's business; here is what only a kubelet and a runtime bring
// about.
package e2e
