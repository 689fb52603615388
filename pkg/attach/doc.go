// SPDX-License-Identifier: Apache-2.0

// Package attach is the life of a sandbox's attachments: what ADD, DEL, CHECK,
// GC and STATUS of the CNI specification (section 2), and hot-plug, mean for a
// sandbox on several networks.
//
// ADD asks the planner which networks the pod wants, writes the plan to the
// ledger, runs the delegates in order and commits their results; when one
// fails, all that ran are deleted in reverse (ADD-05). DEL, CHECK and GC read
// the ledger only. Requests of one sandbox are served one at a time, those of
// different sandboxes side by side (ADD-10).
//
// The interfaces among Options (Ledger, Exec) are seams for the mutants in
// fakes/mutants, which put faults there. They are not a stable API.
package attach
