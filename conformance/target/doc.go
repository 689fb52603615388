// SPDX-License-Identifier: Apache-2.0

// Package target has what every kind of target file shares: templates, files
// that are placed for a case alone, and processes.
package target
