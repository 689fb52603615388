// SPDX-License-Identifier: Apache-2.0

package runtime

// Fault names one thing that is wrong with the runtime; "" means nothing.
type Fault string

// Faulty is a fault as it is listed.
type Faulty struct {
	Name Fault
	// Rows are the requirements that it breaks.
	Rows []string
	// Wrong says in a sentence what is wrong.
	Wrong string
}

// Faults returns all faults, by row.
func Faults() []Faulty { return faults }

const (
	firstResultToAll      Fault = "first-result-to-all"
	oncePerType           Fault = "once-per-type"
	noValidation          Fault = "no-validation"
	argsAtAddAlone        Fault = "args-at-add-alone"
	entersNamespace       Fault = "enters-namespace"
	removesNamespaceFirst Fault = "removes-namespace-first"
	dropsKeys             Fault = "drops-keys"
	floatNumbers          Fault = "float-numbers"
	passesCapabilities    Fault = "passes-capabilities"
	allCapabilityArgs     Fault = "all-capability-args"
	falseDeclares         Fault = "false-declares"
	cniVersionAlone       Fault = "cniversion-alone"
	highestOffered        Fault = "highest-offered"
	anyVersion            Fault = "any-version"
	goesOnAfterError      Fault = "goes-on-after-error"
	swallowsMsg           Fault = "swallows-msg"
	noDelAfterFailure     Fault = "no-del-after-failure"
	undoesDoneAlone       Fault = "undoes-done-alone"
	recordLast            Fault = "record-last"
	forgetsAtReboot       Fault = "forgets-at-reboot"
	forwardOrder          Fault = "forward-order"
	delWithoutResult      Fault = "del-without-result"
	delGoesOn             Fault = "del-goes-on"
	swallowsDelError      Fault = "swallows-del-error"
	dropsResultAtError    Fault = "drops-result-at-error"
	rereadsFile           Fault = "rereads-file"
	skipsWithoutNamespace Fault = "skips-without-namespace"
	trustsPath            Fault = "trusts-path"
	damagedEndsDel        Fault = "damaged-ends-del"
	checkReversed         Fault = "check-reversed"
	checkWithoutResult    Fault = "check-without-result"
	ignoresDisableCheck   Fault = "ignores-disable-check"
	checksStrangers       Fault = "checks-strangers"
	networksAtOnce        Fault = "networks-at-once"
	noContainerLock       Fault = "no-container-lock"
	partialValid          Fault = "partial-valid"
	gcWithoutPath         Fault = "gc-without-path"
	gcBesideAdd           Fault = "gc-beside-add"
	gcStops               Fault = "gc-stops"
	swallowsGCError       Fault = "swallows-gc-error"
	ignoresDisableGC      Fault = "ignores-disable-gc"
	gcAnyVersion          Fault = "gc-any-version"
	staleGetsGCAlone      Fault = "stale-gets-gc-alone"
	statusIgnored         Fault = "status-ignored"
	secondAdd             Fault = "second-add"
	executablesLate       Fault = "executables-late"
	typeAsPath            Fault = "type-as-path"
	noNameValidation      Fault = "no-name-validation"
	anyNetworkName        Fault = "any-network-name"
	dropsAddresses        Fault = "drops-addresses"
	pluginNames           Fault = "plugin-names"
	addBesideGC           Fault = "add-beside-gc"
	argsOfDel             Fault = "args-of-del"
	capabilitiesOfDel     Fault = "capabilities-of-del"
	checkGoesOn           Fault = "check-goes-on"
	firstGCError          Fault = "first-gc-error"
	checksDeleted         Fault = "checks-deleted"
	deletesLive           Fault = "deletes-live"
	absoluteType          Fault = "absolute-type"
	prevResultOfLast      Fault = "prevresult-of-last"
	prevResultOfFile      Fault = "prevresult-of-file"
	reservedPass          Fault = "reserved-pass"
	waitsForever          Fault = "waits-forever"
	unboundedOutput       Fault = "unbounded-output"
	anyResult             Fault = "any-result"
	folderIgnored         Fault = "folder-ignored"
	folderAtAddAlone      Fault = "folder-at-add-alone"
	folderFirst           Fault = "folder-first"
)

var faults = []Faulty{
	{Name: firstResultToAll, Rows: []string{"RT-01"}, Wrong: "each plugin of ADD gets the first one's result"},
	{Name: oncePerType, Rows: []string{"RT-01"}, Wrong: "a type that the list has twice is executed once"},
	{Name: dropsAddresses, Rows: []string{"RT-01", "RT-13"}, Wrong: "the result that a plugin gets has no ips"},
	{Name: noValidation, Rows: []string{"RT-02"}, Wrong: "the container's id is not looked at"},
	{Name: noNameValidation, Rows: []string{"RT-02"}, Wrong: "the interface's name is not looked at"},
	{Name: anyNetworkName, Rows: []string{"RT-02"}, Wrong: "the network's name is not looked at"},
	{Name: argsAtAddAlone, Rows: []string{"RT-02"}, Wrong: "CNI_ARGS are set at ADD alone"},
	{Name: entersNamespace, Rows: []string{"RT-03"}, Wrong: "plugins are executed in the container's network namespace"},
	{Name: removesNamespaceFirst, Rows: []string{"RT-03"}, Wrong: "the network namespace is removed before DEL"},
	{Name: dropsKeys, Rows: []string{"RT-04"}, Wrong: "keys that the specification does not know do not reach plugins"},
	{Name: pluginNames, Rows: []string{"RT-04"}, Wrong: "name and cniVersion of the plugin's object go before the network's"},
	{Name: floatNumbers, Rows: []string{"RT-05"}, Wrong: "numbers go through a float"},
	{Name: passesCapabilities, Rows: []string{"RT-06"}, Wrong: "capabilities reaches plugins"},
	{Name: allCapabilityArgs, Rows: []string{"RT-07"}, Wrong: "every plugin gets all capability args"},
	{Name: falseDeclares, Rows: []string{"RT-07"}, Wrong: "a capability that is declared as false counts as declared"},
	{Name: cniVersionAlone, Rows: []string{"RT-08"}, Wrong: "cniVersions is not looked at"},
	{Name: highestOffered, Rows: []string{"RT-08"}, Wrong: "the highest version is used whether it is known or not"},
	{Name: anyVersion, Rows: []string{"RT-09"}, Wrong: "plugins are executed in a version that is not known"},
	{Name: goesOnAfterError, Rows: []string{"RT-10"}, Wrong: "plugins are executed behind one that failed ADD"},
	{Name: swallowsMsg, Rows: []string{"RT-10"}, Wrong: "the caller is told the plugin's exit status and not its msg"},
	{Name: noDelAfterFailure, Rows: []string{"RT-11"}, Wrong: "an ADD that failed is not followed by DEL"},
	{Name: undoesDoneAlone, Rows: []string{"RT-11"}, Wrong: "an ADD that failed is followed by DEL of those plugins alone that had succeeded"},
	{Name: recordLast, Rows: []string{"RT-12"}, Wrong: "a container is recorded when its ADD has succeeded, so that one killed during ADD is not known"},
	{Name: forgetsAtReboot, Rows: []string{"RT-12"}, Wrong: "what was recorded in another boot is not deleted"},
	{Name: forwardOrder, Rows: []string{"RT-13"}, Wrong: "DEL runs in the order of ADD"},
	{Name: delWithoutResult, Rows: []string{"RT-13"}, Wrong: "DEL has no prevResult"},
	{Name: delGoesOn, Rows: []string{"RT-14"}, Wrong: "DEL goes on behind a plugin that failed it"},
	{Name: swallowsDelError, Rows: []string{"RT-14"}, Wrong: "a DEL that failed is reported as a success"},
	{Name: dropsResultAtError, Rows: []string{"RT-14"}, Wrong: "the DEL after one that failed has no prevResult"},
	{Name: rereadsFile, Rows: []string{"RT-15"}, Wrong: "DEL has the configuration and the arguments of today"},
	{Name: argsOfDel, Rows: []string{"RT-15"}, Wrong: "DEL has the CNI_ARGS that the caller of DEL names"},
	{Name: capabilitiesOfDel, Rows: []string{"RT-15"}, Wrong: "DEL has the capability args that the caller of DEL names"},
	{Name: skipsWithoutNamespace, Rows: []string{"RT-16"}, Wrong: "DEL of a container whose namespace has gone executes nothing"},
	{Name: trustsPath, Rows: []string{"RT-16"}, Wrong: "DEL names the path of ADD, whose namespace it may be by now"},
	{Name: damagedEndsDel, Rows: []string{"RT-17"}, Wrong: "a stored result that is damaged keeps DEL from being executed"},
	{Name: checkReversed, Rows: []string{"RT-18"}, Wrong: "CHECK runs in the order of DEL"},
	{Name: checkWithoutResult, Rows: []string{"RT-18"}, Wrong: "CHECK has no prevResult"},
	{Name: ignoresDisableCheck, Rows: []string{"RT-18"}, Wrong: "disableCheck is not looked at"},
	{Name: checkGoesOn, Rows: []string{"RT-18"}, Wrong: "CHECK goes on behind a plugin that failed it"},
	{Name: checksStrangers, Rows: []string{"RT-19"}, Wrong: "CHECK is executed for a container that is not attached"},
	{Name: checksDeleted, Rows: []string{"RT-19"}, Wrong: "CHECK is executed for a container that was deleted"},
	{Name: networksAtOnce, Rows: []string{"RT-20"}, Wrong: "the networks of a container are attached all at once"},
	{Name: noContainerLock, Rows: []string{"RT-20"}, Wrong: "a DEL does not wait for the ADD of its container"},
	{Name: partialValid, Rows: []string{"RT-21"}, Wrong: "GC names one of the live attachments"},
	{Name: gcWithoutPath, Rows: []string{"RT-21"}, Wrong: "GC has no CNI_PATH"},
	{Name: gcBesideAdd, Rows: []string{"RT-21"}, Wrong: "GC does not wait for an ADD of its network"},
	{Name: addBesideGC, Rows: []string{"RT-21"}, Wrong: "an ADD does not wait for GC of its network"},
	{Name: gcStops, Rows: []string{"RT-22"}, Wrong: "a GC that fails ends GC of the other plugins"},
	{Name: swallowsGCError, Rows: []string{"RT-22"}, Wrong: "a GC that failed is reported as a success"},
	{Name: firstGCError, Rows: []string{"RT-22"}, Wrong: "of several GC that failed the first one is reported"},
	{Name: ignoresDisableGC, Rows: []string{"RT-22"}, Wrong: "disableGC is not looked at"},
	{Name: gcAnyVersion, Rows: []string{"RT-22"}, Wrong: "GC is executed in versions that do not have it"},
	{Name: staleGetsGCAlone, Rows: []string{"RT-23"}, Wrong: "an attachment that is stale gets no DEL"},
	{Name: deletesLive, Rows: []string{"RT-23"}, Wrong: "GC deletes every container of the network"},
	{Name: statusIgnored, Rows: []string{"RT-24"}, Wrong: "a network is ready whatever STATUS says"},
	{Name: secondAdd, Rows: []string{"RT-25"}, Wrong: "ADD is executed again for a container that is attached"},
	{Name: executablesLate, Rows: []string{"RT-26"}, Wrong: "a plugin's executable is looked for when its turn comes"},
	{Name: typeAsPath, Rows: []string{"RT-27"}, Wrong: "a type may be a path"},
	{Name: absoluteType, Rows: []string{"RT-27"}, Wrong: "a type may be an absolute path"},
	{Name: prevResultOfFile, Rows: []string{"RT-28"}, Wrong: "prevResult of the file reaches the first plugin"},
	{Name: prevResultOfLast, Rows: []string{"RT-28"}, Wrong: "the first plugin gets the result of the container's last ADD"},
	{Name: reservedPass, Rows: []string{"RT-29"}, Wrong: "runtimeConfig and cni.dev/… of the file reach plugins"},
	{Name: waitsForever, Rows: []string{"RT-30"}, Wrong: "a plugin that hangs is waited for, for ever"},
	{Name: unboundedOutput, Rows: []string{"RT-30"}, Wrong: "whatever a plugin prints is kept in memory"},
	{Name: anyResult, Rows: []string{"RT-30"}, Wrong: "whatever a plugin prints is taken for a result"},
	{Name: folderIgnored, Rows: []string{"RT-31"}, Wrong: "the network's folder is not looked at"},
	{Name: folderAtAddAlone, Rows: []string{"RT-31"}, Wrong: "DEL leaves out the plugins of the network's folder"},
	{Name: folderFirst, Rows: []string{"RT-31"}, Wrong: "the plugins of the network's folder come first"},
}
