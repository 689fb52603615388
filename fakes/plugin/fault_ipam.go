// SPDX-License-Identifier: Apache-2.0

package plugin

// The faults of an IPAM plugin.
const (
	ipamInterfaces      Fault = "ipam-interfaces"
	ipamInterfaceIndex  Fault = "ipam-interface-index"
	ipamNoLock          Fault = "ipam-no-lock"
	ipamGateway         Fault = "ipam-gives-gateway"
	ipamReleasesAll     Fault = "ipam-releases-container"
	ipamDelTwice        Fault = "ipam-del-twice-fails"
	ipamDelNamespace    Fault = "ipam-del-needs-namespace"
	ipamDelConfig       Fault = "ipam-del-needs-ranges"
	ipamDamaged         Fault = "ipam-damaged-stays"
	ipamSecondAddress   Fault = "ipam-second-address"
	ipamKeepsHalf       Fault = "ipam-keeps-half"
	ipamStatus0         Fault = "ipam-status-always-0"
	ipamCheckNone       Fault = "ipam-check-unimplemented"
	ipamCheck0          Fault = "ipam-check-always-0"
	ipamGCAll           Fault = "ipam-gc-removes-all"
	ipamGCContainer     Fault = "ipam-gc-by-container"
	ipamGCNone          Fault = "ipam-gc-removes-none"
	ipamMerges          Fault = "ipam-merges-requests"
	ipamIgnoresIPs      Fault = "ipam-ignores-ips"
	ipamTakesOutOfRange Fault = "ipam-out-of-range"
	ipamLockFile        Fault = "ipam-lock-file"
	ipamIndexFile       Fault = "ipam-index-last"
	ipamOwnerLast       Fault = "ipam-owner-last"
)

var ipamFaults = []Faulty{
	{Name: ipamInterfaces, Rows: []string{"IPAM-01"}, Wrong: "the result lists interfaces"},
	{Name: ipamInterfaceIndex, Rows: []string{"IPAM-01"}, Wrong: "the result's addresses point at an interface"},
	{Name: ipamNoLock, Rows: []string{"IPAM-02"}, Wrong: "nothing keeps two ADDs at once from choosing the same address"},
	{Name: ipamGateway, Rows: []string{"IPAM-02"}, Wrong: "the gateway's address is handed out"},
	{Name: ipamReleasesAll, Rows: []string{"IPAM-03"}, Wrong: "DEL releases the addresses of all interfaces of the container"},
	{Name: ipamDelTwice, Rows: []string{"IPAM-03"}, Wrong: "DEL fails when there is nothing to release"},
	{Name: ipamDelNamespace, Rows: []string{"IPAM-03"}, Wrong: "DEL fails without a namespace"},
	{Name: ipamDelConfig, Rows: []string{"IPAM-04"}, Wrong: "DEL looks in the ranges of this configuration only, with the capability args"},
	{Name: ipamDamaged, Rows: []string{"IPAM-04"}, Wrong: "a lease whose file is damaged is never released"},
	{Name: ipamSecondAddress, Rows: []string{"IPAM-05"}, Wrong: "a second ADD takes a second address"},
	{Name: ipamKeepsHalf, Rows: []string{"IPAM-06"}, Wrong: "an ADD that cannot have both families keeps the first address"},
	{Name: ipamStatus0, Rows: []string{"IPAM-07"}, Wrong: "STATUS succeeds always"},
	{Name: ipamCheckNone, Rows: []string{"IPAM-08"}, Wrong: "CHECK answers that it is not implemented"},
	{Name: ipamCheck0, Rows: []string{"IPAM-09"}, Wrong: "CHECK looks at nothing"},
	{Name: ipamGCAll, Rows: []string{"IPAM-10"}, Wrong: "GC releases every address"},
	{Name: ipamGCContainer, Rows: []string{"IPAM-10"}, Wrong: "GC compares the interface's name alone, and releases of those that are alike all but one"},
	{Name: ipamGCNone, Rows: []string{"IPAM-11"}, Wrong: "GC releases nothing"},
	{Name: ipamMerges, Rows: []string{"IPAM-12"}, Wrong: "the IP of CNI_ARGS is taken beside args.cni.ips"},
	{Name: ipamIgnoresIPs, Rows: []string{"IPAM-13"}, Wrong: "runtimeConfig.ips is ignored"},
	{Name: ipamTakesOutOfRange, Rows: []string{"IPAM-13"}, Wrong: "an address out of range is answered with another one"},
	{Name: ipamLockFile, Rows: []string{"IPAM-14"}, Wrong: "the lock is a file that somebody killed leaves behind"},
	{Name: ipamIndexFile, Rows: []string{"IPAM-14"}, Wrong: "DEL goes by an index that ADD writes as its last step"},
	{Name: ipamOwnerLast, Rows: []string{"IPAM-14"}, Wrong: "ADD takes an address and then says whose it is, in a table that is mapped into memory, so no system call shows when"},
}
