// SPDX-License-Identifier: Apache-2.0

// Package ledger keeps the durable record of every sandbox's attachments: what
// was really given to the delegates at ADD, so that DEL, CHECK and GC never
// recompute it (DEL-04) and never need the API server (DEL-09).
//
// Each sandbox has one file, <cniDir>/ledger/<container id>.json, mode 0600 in a
// directory of mode 0700 (SEC-03), meant to be read by a person at night: the
// record as indented JSON, once for each step of its life, the last one at the
// end. The first version is written to a temporary name and renamed, so that a
// reader sees it or nothing; it is what Begin has synced (RES-01). Later ones
// are appended, which costs a tenth of replacing the file. What a crash leaves
// of the last one is damage like any other, and the version before it counts.
//
// A file that cannot be read is moved to <cniDir>/ledger/damaged together with
// a note that says why, and harms no other sandbox (DEL-07).
package ledger
