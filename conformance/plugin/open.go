// SPDX-License-Identifier: Apache-2.0

package plugin

// Open is what the CNI specification leaves open for plugins. No case fails a
// plugin for one reading of it.
var Open = []string{
	"† in a source: the reference library (skel or libcni) itself breaks the letter there, so the row is SHOULD whatever the specification says.",
	"Errors go to stderr (§2, overview) or to stdout (STATUS, skel, libcni): cni#901, cni#686. Cases read the error structure from stdout, and never fail a plugin for what else it says on stderr.",
	"ADD \"adjusts\" an interface, or it is an error that one exists (cni#901).",
	"VERSION echoes the version of its input, though skel reads no stdin.",
	"CNI_PATH is optional by the text, and skel demands it.",
	"The variable's name has to be in code 4's msg; skel gives it only for variables that are missing.",
	"Whether DEL may fail at all (cni#309).",
	"DEL after a failed ADD: §3 says that it must be executed, a maintainer doubts it (cni#530).",
	"Whether results of IPAM plugins may have interfaces (cni#1137, cilium#34779).",
	"§2 counts five operations without STATUS; the key of GC's attachments has a history (cni#1101, cni#1103).",
}
