// SPDX-License-Identifier: Apache-2.0

// Package runtime has whoever executes CNI plugins as a subject: a container
// runtime, a library for one, a tool, or a thick plugin towards its delegates. A
// Target says how it is asked, a Driver asks it, an Env is the world of one case,
// and Case is one requirement with the behaviour that shows whether it is kept.
// The cases are in package cases below.
//
// # A case
//
//	n := e.NewNetwork()             // p1, p2 and p3, the recording plugins
//	n.Plugins[0]["key"] = "value"
//	e.Write(n)                      // a file of e.ConfDir; the runtime knows it
//	e.Script("p2", script.Fake{…})  // what p2 does from now on: fail, wait, print garbage
//	a := e.Attach(n)                // a container with a network namespace
//	answer := e.Add(ctx, a)         // also Del, Check, GC, Status
//	e.MustOK(answer)
//	e.MustFail(answer, "why it must")
//	calls := e.CallsOf("ADD", a)    // every execution: environment, stdin, times, namespaces
//
// Begin asks while the case goes on; Kill, Start, Restart and Reboot are for
// runtimes with the feature kill.
//
// # A driver
//
// The driver of commands starts a process for each command. Others are made by
// Settings.Drivers, for the keys runtime.cri and runtime.thick of a target file.
// What a way of asking leaves to the runtime, the container's id for example, is
// in Takes; cases ask less then, and say so.
package runtime
