// SPDX-License-Identifier: Apache-2.0

// Package ledger keeps the durable record of every sandbox's attachments: what
// was really given to the delegates at ADD, so that DEL, CHECK and GC never
// recompute it (DEL-04) and never need the API server (DEL-09).
//
// Each sandbox has one JSON file, <cniDir>/ledger/<container id>.json, mode
// 0600 in a directory of mode 0700 (SEC-03), meant to be read by a person at
// night. Files are written to a temporary name, synced and renamed, so that a
// reader sees the old record or the new one and never a part (RES-01). A file
// that cannot be read is moved to <cniDir>/ledger/damaged together with a note
// that says why, and harms no other sandbox (DEL-07).
package ledger
