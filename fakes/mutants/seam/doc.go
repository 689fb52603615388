// SPDX-License-Identifier: Apache-2.0

// Package seam is where faults go in: a daemon in the making, with the layers
// that can be put round each of its parts, and a shim whose functions can be
// changed. The seams are the product's own; nothing here is faulty by itself.
package seam
