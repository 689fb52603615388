// SPDX-License-Identifier: Apache-2.0

// Package node makes a node for a case: directories, sandboxes with network
// namespaces, fake plugins and their recorded calls, and a look at what a subject
// leaves behind. It knows neither Kubernetes nor any kind of subject.
package node
