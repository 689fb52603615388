// SPDX-License-Identifier: Apache-2.0

package runtime

// Open is what the CNI specification leaves open for runtimes. No case fails a
// runtime for one reading of it.
var Open = []string{
	"† in a source: the reference library (skel or libcni) itself breaks the letter there, so the row is SHOULD whatever the specification says.",
	"Errors go to stderr (§2, overview) or to stdout (STATUS, skel, libcni): cni#901, cni#686. The recording plugins print the error structure on stdout.",
	"The key capabilities is not to be set (§3), and libcni leaves it in.",
	"Fields reach the plugin unchanged, while libcni decodes numbers as floats.",
	"DEL after a failed ADD: §3 says that it must be executed, a maintainer doubts it (cni#530). It is asked of runtimes with the feature lifecycle alone.",
	"DEL of a list with an executable that is missing may fail or be carried out by the other plugins (containerd#5768). When the executable is back, DEL is complete.",
	"What loadOnlyInlinedPlugins means beside inlined plugins: two sentences of §1 contradict each other.",
	"The key of GC's attachments has a history (cni#1101, cni#1103). Cases read cni.dev/valid-attachments.",
}
