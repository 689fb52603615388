// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// fault is the one deliberate fault of this process, "" for none.
var fault string

// broken reports whether the process has a fault.
func broken(name string) bool { return fault == name }

// mutant is a fault as the suite's command mutants reads it.
type mutant struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Fault string   `json:"fault"`
	Cases []string `json:"cases"`
}

// faultOfShim is the fault whose name the program was executed by.
func faultOfShim() string {
	name := filepath.Base(os.Args[0])
	if slices.ContainsFunc(faults, func(m mutant) bool { return m.Kind == "shim" && m.Name == name }) {
		return name
	}
	return ""
}

func printFaults(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(faults)
}

// faults are all of them, with the rows that claim each.
var faults = []mutant{
	{"any-run-directory", "daemon", "the run directory is taken as it is", []string{"SOCK-07"}},
	{"no-lock", "daemon", "a second daemon starts beside the first", []string{"SOCK-10"}},
	{"removes-any-socket", "daemon", "at its end the daemon removes the socket whoever made it", []string{"SOCK-11"}},
	{"replaces-any-file", "daemon", "a file at the socket's path is removed", []string{"SOCK-06"}},
	{"socket-for-the-group", "daemon", "the socket has mode 0660", []string{"SOCK-02"}},
	{"any-peer", "daemon", "every user is served", []string{"SOCK-09"}},
	{"any-method", "daemon", "a GET is served like a POST", []string{"EP-02"}},
	{"errors-are-200", "daemon", "failures have the status 200", []string{"EP-05"}},
	{"no-validation", "daemon", "the CNI variables are not validated", []string{"EP-07"}},
	{"takes-any-size", "daemon", "the size of a request is not limited", []string{"EP-09"}},
	{"refuses-unknown-fields", "daemon", "a request with a field that the API does not have is refused", []string{"EP-12"}},
	{"always-ready", "daemon", "/readyz says yes whatever is missing", []string{"READY-07"}},
	{"ready-while-draining", "daemon", "/readyz says yes after SIGTERM", []string{"READY-07"}},
	{"ready-without-plugins", "daemon", "readiness does not look for the default network's plugins", []string{"ST-03"}},
	{"status-says-yes", "daemon", "STATUS succeeds whatever is missing", []string{"ST-01", "ST-02"}},
	{"no-ballast", "daemon", "nothing is put by for a full disk", []string{"RES-03"}},
	{"keeps-records", "daemon", "DEL leaves the record", []string{"DEL-06", "DEL-08"}},
	{"records-for-all", "daemon", "the records have mode 0644", []string{"SEC-03"}},
	{"short-keys", "daemon", "records have the first twelve characters of the container's id as their key, in small letters", []string{"DEL-12"}},
	{"container-is-the-key", "daemon", "a container has one record, whatever the interface", []string{"ADD-17"}},
	{"gc-by-container", "daemon", "GC looks at the container and not at the interface", []string{"ADD-17"}},
	{"no-container-lock", "daemon", "requests of one container run side by side", []string{"ADD-10"}},
	{"plug-without-lock", "daemon", "/delegate does not take the container's lock", []string{"HOT-11"}},
	{"ignores-disconnect", "daemon", "an ADD goes on when its client is gone", []string{"ADD-14", "SHIM-10"}},
	{"any-pod-uid", "daemon", "another pod of the same name passes for the pod", []string{"ADD-12"}},
	{"takes-taken-names", "daemon", "an interface that the namespace has already is not noticed", []string{"ADD-07"}},
	{"duplicate-interfaces", "daemon", "two attachments may have one interface name", []string{"ADD-07"}},
	{"result-of-the-last", "daemon", "the answer is the last network's result", []string{"ADD-02"}},
	{"runtime-config-for-all", "daemon", "the runtime's runtimeConfig goes to every network", []string{"NET-19"}},
	{"no-rollback", "daemon", "a failed ADD leaves what was attached", []string{"ADD-05"}},
	{"rolls-back-the-failed-only", "daemon", "a failed ADD deletes the failed network only", []string{"ADD-05"}},
	{"no-time-limit", "daemon", "delegates may run for an hour", []string{"ADD-08"}},
	{"no-time-limit-at-del", "daemon", "delegates may run for an hour at DEL", []string{"CHECK-08"}},
	{"leaves-grandchildren", "daemon", "a delegate is killed and what it started is not", []string{"ADD-08", "SEC-16"}},
	{"any-output", "daemon", "what a delegate prints is not limited", []string{"ADD-09"}},
	{"trusts-results", "daemon", "a delegate's result is not looked at before libcni reads it", []string{"SEC-08"}},
	{"runs-anything", "daemon", "the type of a delegate is not looked at", []string{"SEC-09"}},
	{"hanging-keep-their-slot", "daemon", "delegates that hang keep others from running", []string{"SEC-11"}},
	{"cuts-nothing", "daemon", "errors are as long as delegates make them", []string{"SEC-12"}},
	{"reads-any-cache", "daemon", "libcni reads cached results of any size", []string{"SEC-07"}},
	{"leaves-strays", "daemon", "what delegates of a killed daemon left goes on", []string{"RES-01"}},
	{"unseen-is-gone", "daemon", "a namespace that is not seen is taken for gone, and deleted", []string{"RES-09"}},
	{"ignores-reboot", "daemon", "what was attached before a reboot stays", []string{"RES-02"}},
	{"del-forwards", "daemon", "DEL goes in the order of ADD", []string{"DEL-01"}},
	{"del-stops-at-error", "daemon", "DEL ends at the first failure", []string{"DEL-06"}},
	{"swallows-del-errors", "daemon", "a failed DEL is answered with success", []string{"DEL-06"}},
	{"forgets-failed-del", "daemon", "what failed at DEL is forgotten", []string{"DEL-06"}},
	{"del-reads-the-plan-again", "daemon", "the default network is deleted by its configuration of now", []string{"DEL-04"}},
	{"del-without-result", "daemon", "DEL has no prevResult", []string{"DEL-05"}},
	{"any-namespace", "daemon", "DEL runs in whatever namespace the path leads to", []string{"DEL-11"}},
	{"unrecorded-is-gone", "daemon", "DEL of what is not recorded does nothing", []string{"DEL-10"}},
	{"check-says-yes", "daemon", "CHECK succeeds whatever a delegate says", []string{"CHECK-03"}},
	{"checks-the-default-only", "daemon", "CHECK asks the default network only", []string{"CHECK-01"}},
	{"gc-without-delegates", "daemon", "delegates get no GC", []string{"GC-02"}},
	{"gc-by-first-interface", "daemon", "GC names further networks by the default network's interface", []string{"GC-02"}},
	{"gc-recorded-only", "daemon", "GC tells delegates the recorded attachments only", []string{"GC-05"}},
	{"gc-ignores-disable", "daemon", "disableGC of the request is ignored", []string{"GC-03"}},
	{"gc-stops-at-error", "daemon", "GC ends at the first failure", []string{"GC-03"}},
	{"spool-forgets-first", "daemon", "a DEL that waits is forgotten before it is done", []string{"SHIM-07"}},
	{"spool-never-forgets", "daemon", "a DEL that waits is carried out again and again", []string{"SHIM-07"}},
	{"plug-drops-attributes", "daemon", "ips, mac and cni-args of a hot-plug are dropped", []string{"HOT-01"}},
	{"plug-swallows-errors", "daemon", "a hot-plug whose DEL failed is forgotten", []string{"HOT-02"}},
	{"plug-not-recorded", "daemon", "a hot-plug is not recorded as done", []string{"HOT-06"}},
	{"plug-recorded-late", "daemon", "a hot-plug is recorded when the delegates have run", []string{"HOT-10"}},
	{"never-settles", "daemon", "a hot-plug that was begun by a killed daemon stays", []string{"HOT-10"}},
	{"reads-need-writes", "daemon", "a database on a disk that became read-only is taken for a damaged one", []string{"HOT-10"}},
	{"drops-undeclared", "daemon", "what no plugin declares is dropped", []string{"NET-18"}},
	{"any-port-and-rate", "daemon", "ports, protocols, rates and bursts are not validated", []string{"NET-23"}},
	{"any-interface-name", "daemon", "interface names of selections are not validated", []string{"SEC-10"}},
	{"skips-empty-selections", "daemon", "an empty element of the annotation is passed over", []string{"NET-25"}},
	{"no-isolation", "daemon", "an isolated pod reaches every namespace", []string{"NET-08"}},
	{"default-route-v4-only", "daemon", "default-route moves no IPv6 route", []string{"NET-03"}},
	{"remembers-definitions", "daemon", "a definition that was read once is never read again", []string{"NET-13"}},
	{"status-in-reverse", "daemon", "the network status is in reverse order", []string{"NET-09"}},
	{"status-has-the-host-end", "daemon", "the network status shows the host's ends of interfaces", []string{"NET-20"}},
	{"status-stays", "daemon", "the network status outlives its sandbox", []string{"ADD-18"}},
	{"shim-logs-to-stdout", "shim", "the shim logs to stdout", []string{"SHIM-03"}},
	{"shim-changes-code", "shim", "the shim makes every error an internal one", []string{"SHIM-05"}},
	{"shim-reencodes-config", "shim", "the shim decodes and encodes the configuration", []string{"SHIM-04"}},
	{"shim-posts-errors-twice", "shim", "the shim posts a request that failed once more", []string{"SHIM-16"}},
	{"shim-waits-half", "shim", "the shim gives up after half of the time", []string{"SHIM-06"}},
	{"shim-never-waits", "shim", "the shim's ADD does not wait for readiness", []string{"READY-09"}},
	{"shim-prints-newest", "shim", "the shim prints the newest form of a result", []string{"SHIM-02"}},
	{"shim-forgets-del", "shim", "without a daemon the shim's DEL does nothing", []string{"SHIM-07"}},
}
