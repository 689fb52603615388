// SPDX-License-Identifier: Apache-2.0

// Package expect has the assertions and fixtures that several profiles of thick
// plugins share.
package expect
