// SPDX-License-Identifier: Apache-2.0

// Package daemon is the node daemon behind the socket: it makes sure that one
// daemon listens there and that only root reaches it, reads and bounds the
// requests, gives them to package attach, answers in the API's form, and ends
// without losing what is under way.
//
// Options' Engine, Handler and Listener are seams for the mutants in
// fakes/mutants, which put faults there, and for programs that run the daemon
// within themselves. They are not a stable API.
package daemon
