// SPDX-License-Identifier: Apache-2.0

// Package bench measures a thick plugin, and another one beside it: latency,
// memory, and what a restart storm costs.
package bench
