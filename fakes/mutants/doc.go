// SPDX-License-Identifier: Apache-2.0

// Command mutants is Thicket's daemon, shim, installer and client with one
// deliberate fault, chosen by name. The conformance suite is judged by it: each
// mutant names the cases that must fail against it, and a mutant that survives
// them shows a case that cannot fail.
//
// Everything here is put together from the real packages. A fault goes in
// through a seam that the product has for its own reasons (the engine's Exec
// and ledger, the daemon's Engine, Handler and Listener, the cluster), or
// before and after the daemon's life. The mutant "none" has no fault: what it
// does not pass proves nothing.
//
// A new mutant is a value in the package of its profile; see mutant.Mutant.
package main
