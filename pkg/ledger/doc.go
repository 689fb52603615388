// SPDX-License-Identifier: Apache-2.0

// Package ledger keeps the durable record of every sandbox's attachments: what
// was really given to the delegates at ADD, so that DEL, CHECK and GC never
// recompute it (DEL-04) and never need the API server (DEL-09).
//
// Each sandbox has one file, <cniDir>/ledger/<container id>.json, mode 0600 in a
// directory of mode 0700 (SEC-03), meant to be read by a person at night. It
// begins with the record as indented JSON, in which each distinct configuration
// stands once and attachments name theirs by number. That is written to a
// temporary name and renamed, so that a reader sees it or nothing; it is what
// Begin has synced (RES-01). Each step of the sandbox's life that follows is one
// more JSON document, appended, with what has changed. What a crash leaves of
// the last one is damage like any other, and what stands before it counts.
//
// One limit holds for what is written and for what is read, and a file is read
// part by part within a bound, whoever wrote it (SEC-07).
//
// A file that cannot be read is moved to <cniDir>/ledger/damaged together with
// a note that says why, and harms no other sandbox (DEL-07). What is kept there
// is bounded (RES-16).
package ledger
