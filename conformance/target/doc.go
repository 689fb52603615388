// SPDX-License-Identifier: Apache-2.0

// Package target has what every kind of target file shares: templates, files
// that are placed for a case alone, and processes.
package target

// APIVersion heads every target file, whatever its kind.
const APIVersion = "conformance.thicket-cni.io/v1alpha1"
