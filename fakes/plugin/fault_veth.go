// SPDX-License-Identifier: Apache-2.0

package plugin

// The faults of an interface plugin.
const (
	listsNoVersion     Fault = "lists-no-version"
	versionNewest      Fault = "version-newest"
	resultAlways100    Fault = "result-always-1.0.0"
	resultNewestShape  Fault = "result-newest-shape"
	anyVersion         Fault = "any-version"
	logsOnStdout       Fault = "logs-on-stdout"
	resultThenError    Fault = "result-then-error"
	plainTextError     Fault = "plain-text-error"
	errorCodeZero      Fault = "error-code-0"
	idAsPath           Fault = "id-as-path"
	longInterfaceName  Fault = "long-interface-name"
	ipamTypeAsPath     Fault = "ipam-type-as-path"
	checksUnnamed      Fault = "checks-unnamed"
	wrongMAC           Fault = "wrong-mac"
	hostEndUnlisted    Fault = "host-end-unlisted"
	reusesInterface    Fault = "reuses-interface"
	deletesExisting    Fault = "deletes-existing"
	allocatesFirst     Fault = "allocates-first"
	worksOnHost        Fault = "works-on-host"
	keepsLease         Fault = "keeps-lease"
	keepsLink          Fault = "keeps-link"
	recordAmongLogs    Fault = "record-among-logs"
	notFoundIsError    Fault = "not-found-is-error"
	delNeedsPrevResult Fault = "del-needs-prevresult"
	delNeedsNamespace  Fault = "del-needs-namespace"
	plainFileEndsDel   Fault = "plain-file-ends-del"
	keepsMasquerade    Fault = "keeps-masquerade"
	delByContainer     Fault = "del-by-container"
	attachesOnce       Fault = "attaches-once"
	checkUnimplemented Fault = "check-unimplemented"
	checkStrict        Fault = "check-strict"
	checkAlways0       Fault = "check-always-0"
	checkSkipsRoutes   Fault = "check-skips-routes"
	checkSkipsHostEnd  Fault = "check-skips-host-end"
	checkSkipsDown     Fault = "check-skips-down"
	dropsArgs          Fault = "drops-args"
	swallowsIPAMError  Fault = "swallows-ipam-error"
	gcNotForwarded     Fault = "gc-not-forwarded"
	forgetsIPAMDel     Fault = "forgets-ipam-del"
	recordLast         Fault = "record-last"
	statusAlways0      Fault = "status-always-0"
	waitsForIPAM       Fault = "waits-for-ipam"
	countsHostEnds     Fault = "counts-host-ends"
	crashesOnUnknown   Fault = "crashes-on-unknown"
	ignoresMAC         Fault = "ignores-mac"
)

var vethFaults = []Faulty{
	{Name: listsNoVersion, Rows: []string{"PLUG-01"}, Wrong: "VERSION lists no version"},
	{Name: versionNewest, Rows: []string{"PLUG-02"}, Wrong: "VERSION answers in its newest version always"},
	{Name: resultAlways100, Rows: []string{"PLUG-03"}, Wrong: "the result has cniVersion 1.0.0 always"},
	{Name: resultNewestShape, Rows: []string{"PLUG-03"}, Wrong: "the result has the newest version's shape: ips of 0.3.1 and 0.4.0 say no version"},
	{Name: anyVersion, Rows: []string{"PLUG-04"}, Wrong: "a version that it does not list is served like its newest"},
	{Name: logsOnStdout, Rows: []string{"PLUG-05"}, Wrong: "a line of log precedes the result on stdout"},
	{Name: resultThenError, Rows: []string{"PLUG-05"}, Wrong: "an ADD that fails at its end has printed its result already, and prints an error behind it"},
	{Name: plainTextError, Rows: []string{"PLUG-06"}, Wrong: "errors are plain text"},
	{Name: errorCodeZero, Rows: []string{"PLUG-06"}, Wrong: "errors have code 0"},
	{Name: idAsPath, Rows: []string{"PLUG-07"}, Wrong: "the container's id is not validated, and becomes a path"},
	{Name: longInterfaceName, Rows: []string{"PLUG-07"}, Wrong: "an interface name that the kernel cannot have is cut to 15 characters"},
	{Name: ipamTypeAsPath, Rows: []string{"PLUG-07"}, Wrong: "the IPAM plugin's type may be a path"},
	{Name: checksUnnamed, Rows: []string{"PLUG-07"}, Wrong: "CHECK succeeds without a container id"},
	{Name: wrongMAC, Rows: []string{"PLUG-08"}, Wrong: "the result has the MAC of the veth's other end"},
	{Name: hostEndUnlisted, Rows: []string{"PLUG-08"}, Wrong: "the result lists the container's end and not the host's"},
	{Name: reusesInterface, Rows: []string{"PLUG-09"}, Wrong: "ADD takes an interface that exists for its own"},
	{Name: deletesExisting, Rows: []string{"PLUG-09"}, Wrong: "an ADD that finds the interface there removes it as it rolls back"},
	{Name: allocatesFirst, Rows: []string{"PLUG-10"}, Wrong: "ADD takes an address before it opens the namespace, and keeps it"},
	{Name: worksOnHost, Rows: []string{"PLUG-11"}, Wrong: "the plugin's own namespace is taken for a container's"},
	{Name: keepsLease, Rows: []string{"PLUG-12"}, Wrong: "DEL does not call the IPAM plugin"},
	{Name: keepsLink, Rows: []string{"PLUG-12"}, Wrong: "DEL leaves the veth pair"},
	{Name: recordAmongLogs, Rows: []string{"PLUG-12"}, Wrong: "DEL leaves what ADD has written of the container below /var/log"},
	{Name: notFoundIsError, Rows: []string{"PLUG-13"}, Wrong: "DEL of what is not there fails"},
	{Name: delNeedsPrevResult, Rows: []string{"PLUG-13"}, Wrong: "DEL without prevResult fails"},
	{Name: delNeedsNamespace, Rows: []string{"PLUG-14"}, Wrong: "DEL fails without the namespace"},
	{Name: plainFileEndsDel, Rows: []string{"PLUG-15"}, Wrong: "DEL ends with success before IPAM's when CNI_NETNS is not a namespace"},
	{Name: keepsMasquerade, Rows: []string{"PLUG-15"}, Wrong: "DEL leaves the masquerade rule when CNI_NETNS is not a namespace"},
	{Name: delByContainer, Rows: []string{"PLUG-16"}, Wrong: "DEL removes all interfaces of the container"},
	{Name: attachesOnce, Rows: []string{"PLUG-16"}, Wrong: "a container is attached once, and DEL of any interface removes the one that it has"},
	{Name: checkUnimplemented, Rows: []string{"PLUG-17"}, Wrong: "CHECK answers that it is not implemented"},
	{Name: checkStrict, Rows: []string{"PLUG-17"}, Wrong: "CHECK refuses an interface that has an address more than the result"},
	{Name: checkAlways0, Rows: []string{"PLUG-18"}, Wrong: "CHECK looks at nothing"},
	{Name: checkSkipsRoutes, Rows: []string{"PLUG-18"}, Wrong: "CHECK does not look for the result's routes"},
	{Name: checkSkipsHostEnd, Rows: []string{"PLUG-18"}, Wrong: "CHECK does not look at the host's end"},
	{Name: checkSkipsDown, Rows: []string{"PLUG-18"}, Wrong: "CHECK does not mind an interface that is down"},
	{Name: dropsArgs, Rows: []string{"PLUG-19"}, Wrong: "the IPAM plugin gets no CNI_ARGS"},
	{Name: swallowsIPAMError, Rows: []string{"PLUG-19"}, Wrong: "the IPAM plugin's failure is not the plugin's"},
	{Name: gcNotForwarded, Rows: []string{"PLUG-20"}, Wrong: "GC does not reach the IPAM plugin"},
	{Name: forgetsIPAMDel, Rows: []string{"PLUG-21"}, Wrong: "an ADD that fails after IPAM's does not call IPAM's DEL"},
	{Name: recordLast, Rows: []string{"PLUG-22"}, Wrong: "DEL goes by a record that ADD writes as its last step"},
	{Name: statusAlways0, Rows: []string{"PLUG-23"}, Wrong: "STATUS succeeds always"},
	{Name: waitsForIPAM, Rows: []string{"PLUG-24"}, Wrong: "a missing IPAM plugin is waited for, for ever"},
	{Name: countsHostEnds, Rows: []string{"PLUG-25"}, Wrong: "the host end's name is found by counting those that are there, without a lock"},
	{Name: crashesOnUnknown, Rows: []string{"PLUG-26"}, Wrong: "a key that it does not know makes it crash"},
	{Name: ignoresMAC, Rows: []string{"PLUG-26"}, Wrong: "runtimeConfig.mac is ignored"},
}
