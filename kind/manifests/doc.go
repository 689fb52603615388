// SPDX-License-Identifier: Apache-2.0

// Package manifests holds how Thicket is deployed to a cluster: a kustomize
// base, and overlays of it. Its tests keep the manifests at what daemon and
// suite take for granted.
package manifests
