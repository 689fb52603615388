// SPDX-License-Identifier: Apache-2.0

// Package kube is the world of a case with a Kubernetes API server: pods,
// network definitions, events and credentials. It is the one place of the suite
// that knows client-go.
package kube
