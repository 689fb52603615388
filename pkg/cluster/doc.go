// SPDX-License-Identifier: Apache-2.0

// Package cluster is where pods and network definitions come from, and where
// the network status of a pod is published.
//
// Directory is the embedded default, which needs no Kubernetes: a directory of
// the same manifests that one would apply to a cluster.
package cluster
