// SPDX-License-Identifier: Apache-2.0

// Package api is the contract between the three who talk to a thick CNI plugin: the shim that the container
// runtime executes, the node daemon that does the work, and any other client on the node (hot-plug controllers,
// conformance cases).
//
// The wire is HTTP/1.1 with JSON bodies over a unix socket that only root may open, at SocketPath(rundir). Names,
// signatures and JSON tags are those of Multus CNI, so that a node can change from one daemon to the other and an
// old shim can talk to a new daemon or the reverse. A failed operation is a non-200 status whose body is a CNI error
// (CNI spec 1.1.0, section "Error").
//
// The functions come in four groups:
//
//   - the client: DoCNI, GetAPIEndpoint, CreateDelegateRequest;
//   - readiness: CheckAPIReadyNow and WaitUntilAPIReady;
//   - the shim's commands: CmdAdd, CmdDel, CmdCheck, CmdGC, CmdStatus, to be given to skel.PluginMainFuncs, and Main,
//     Thicket's addition, which is the main function of a shim, with package quick before it;
//   - pending DELs, Thicket's addition: PendingDir, RecordPending, PendingFiles, ReadPending. A DEL that arrives
//     while no daemon runs is recorded in a directory which the daemon works off when it is back (SHIM-07).
//
// It is one of the two stable packages of this module, beside the facade conformance: what they export changes with a
// major version only. The daemon's other packages may change with any release.
//
// The package imports the standard library, github.com/containernetworking/cni and its own package quick, and nothing
// else, because all of it is linked into the shim, which is started for every pod on the node (SHIM-13).
package api
