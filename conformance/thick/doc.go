// SPDX-License-Identifier: Apache-2.0

// Package thick has thick CNI plugins as a subject: a shim that the container
// runtime executes, and the daemon behind its socket. A Target says how an
// implementation is started, an Env is the world of one case, and Case is one
// requirement with the behaviour that shows whether it is kept.
package thick
