// SPDX-License-Identifier: Apache-2.0

// Package reference writes TARGETS.md: what the author of a target has to know,
// from the code's own comments, so that nothing in it can be out of date.
package reference
