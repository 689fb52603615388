// SPDX-License-Identifier: Apache-2.0

package plugin

// The faults of a chained plugin.
const (
	chainDropsDNS      Fault = "chain-drops-dns"
	chainDropsFields   Fault = "chain-drops-fields"
	chainAlone         Fault = "chain-works-alone"
	chainIdleTable     Fault = "chain-idle-table"
	chainKeepsRule     Fault = "chain-keeps-rule"
	chainNoRestore     Fault = "chain-does-not-restore"
	chainDelNotFound   Fault = "chain-del-not-found"
	chainDelCreates    Fault = "chain-del-creates"
	chainDelPrevResult Fault = "chain-del-needs-prevresult"
	chainCheckNone     Fault = "chain-check-unimplemented"
	chainCheckRepairs  Fault = "chain-check-adds"
	chainCheck0        Fault = "chain-check-always-0"
	chainByAddress     Fault = "chain-del-by-address"
	chainByContainer   Fault = "chain-del-by-container"
	chainDelArgs       Fault = "chain-del-needs-args"
	chainNoLock        Fault = "chain-no-lock"
	chainRecordLast    Fault = "chain-record-last"
	chainGCNone        Fault = "chain-gc-removes-none"
)

var chainFaults = []Faulty{
	{Name: chainDropsDNS, Rows: []string{"CHN-01"}, Wrong: "the result has no dns"},
	{Name: chainDropsFields, Rows: []string{"CHN-01"}, Wrong: "the result has the fields of version 1.0.0 alone"},
	{Name: chainAlone, Rows: []string{"CHN-02"}, Wrong: "ADD without prevResult succeeds"},
	{Name: chainIdleTable, Rows: []string{"CHN-03"}, Wrong: "with nothing to do the table and its chain are made"},
	{Name: chainKeepsRule, Rows: []string{"CHN-04"}, Wrong: "DEL leaves the rules"},
	{Name: chainNoRestore, Rows: []string{"CHN-05"}, Wrong: "DEL leaves the sysctl as ADD has set it"},
	{Name: chainDelNotFound, Rows: []string{"CHN-06"}, Wrong: "DEL without the namespace fails: no such file or directory"},
	{Name: chainDelCreates, Rows: []string{"CHN-06"}, Wrong: "DEL makes the table and its chain to look for rules in them"},
	{Name: chainDelPrevResult, Rows: []string{"CHN-06"}, Wrong: "DEL without prevResult fails"},
	{Name: chainCheckNone, Rows: []string{"CHN-07"}, Wrong: "CHECK answers that it is not implemented"},
	{Name: chainCheckRepairs, Rows: []string{"CHN-07"}, Wrong: "CHECK puts a rule beside the one that is there"},
	{Name: chainCheck0, Rows: []string{"CHN-08"}, Wrong: "CHECK looks at nothing"},
	{Name: chainByAddress, Rows: []string{"CHN-09"}, Wrong: "DEL removes the rules of an address, whosever they are"},
	{Name: chainByContainer, Rows: []string{"CHN-09"}, Wrong: "DEL removes the rules of the network"},
	{Name: chainDelArgs, Rows: []string{"CHN-10"}, Wrong: "DEL removes the rules of the capability args that it is given"},
	{Name: chainNoLock, Rows: []string{"CHN-11"}, Wrong: "the table is made by whoever does not find it, without a lock"},
	{Name: chainRecordLast, Rows: []string{"CHN-11"}, Wrong: "DEL goes by a record that ADD writes as its last step"},
	{Name: chainGCNone, Rows: []string{"CHN-12"}, Wrong: "GC removes nothing"},
}
