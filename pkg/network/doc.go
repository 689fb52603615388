// SPDX-License-Identifier: Apache-2.0

// Package network decides what a pod is attached to: from the pod's
// annotations, network definitions and the node's configuration files to the
// list of delegates to call, with the exact configuration of each. It executes
// nothing and changes nothing.
package network
