// SPDX-License-Identifier: Apache-2.0

// Package plugin has any CNI plugin as a subject: an executable, the network
// configuration that it gets, and what the host has to have for it. A Target says
// so, an Env is the world of one case, and Case is one requirement with the
// behaviour that shows whether it is kept. Profiles are in packages below.
//
// # A case
//
// A case is judged once for each version of CNI that both the suite and the
// target know (Target.Versions), each in a process of its own; Case.Since leaves
// versions out, and Case.Once has it judged by the newest alone. The process has
// network, mount and pid namespaces of its own; its root is the host's with a
// layer over it (node.EnterRoot), and /run, /tmp, /etc/cni, /var/lib/cni and
// /var/log are empty. The case's network namespace takes the place of the host's:
// a body may look at it with netlink, and change it, as it likes.
//
// # Asking
//
//	a := e.Attach()                    // a container with its namespace, and the configuration
//	b := e.AttachTo(a.Sandbox, "eth1") // the same container, another interface
//	answer := a.Add(ctx)               // also Del, Check, and Do(ctx, "ADD", …)
//	r := a.MustAdd(ctx)                // fails the case when ADD fails
//	e.MustOK(answer)                   // exit 0
//	e.MustFail(answer, "why it must")  // ended by itself with another status
//
// After an ADD that succeeded, a.Result is its result, and later commands get it
// as prevResult. Where the plugin is executed behind another one (Kind.Behind),
// a.Base is the result that its ADD gets: of a veth that the suite made with an
// address of the network. Options change one execution: Var, NoVar, Key,
// NoPrevResult, Stdin, Within. Attach takes names of variants of the target file;
// NeedVariant skips the case when the target has none of that name.
//
// Commands without a container are e.GC(ctx, valid...), e.Status(ctx), and
// e.Execute(ctx, Request{…}) for any other. e.Begin starts an execution that
// Kill ends, with its process group; Wait returns the Answer: Exit, Stdout,
// Stderr, Took, Killed (why the suite ended it), OK, Failed, Error (the error
// structure), Result. e.BeginAll executes a command for many attachments at once,
// e.KillADD kills ADDs after each of the changes that they make.
//
// # Looking
//
//	before := e.State(a.Sandbox)       // host and container: links, addresses, routes, rules, …
//	e.ExpectUnchanged(before, "what …", a.Sandbox)
//	e.ExpectRestored(before, "what …", a.Sandbox) // but for what the target file calls shared
//	e.Changes(before, false, a.Sandbox)           // the lines, such as "+ link veth1 veth up …"
//	e.Processes()                                 // what plugins left running
//
// # The IPAM plugin
//
// {{.IPAM}} of a configuration is the suite's IPAM plugin. It hands out addresses
// of e.Subnets (UseSubnets changes them), records every execution (e.Calls,
// e.CallsOf("DEL"), e.AwaitCalls), and does what e.ScriptIPAM says: fail with an
// error, print garbage, take its time, wait for a file. e.Leases and e.LeasesOf
// list what was not given back, e.HideIPAM takes it away.
package plugin
