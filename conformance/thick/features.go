// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"github.com/thicket-cni/thicket/conformance/spec"
)

// What a thick plugin may be able to do, and some cases need.
const (
	// FeatureReadyz is the endpoint /readyz.
	FeatureReadyz spec.Feature = "readyz"
	// FeatureStandalone is a cluster made of a directory of manifests.
	FeatureStandalone spec.Feature = "standalone"
	// FeatureKubernetes is a cluster that is a Kubernetes API server; a target
	// with it gets one.
	FeatureKubernetes spec.Feature = "kubernetes"
	// FeatureRestart means that a fresh daemon can be started on the same directories.
	FeatureRestart spec.Feature = "restart"
	// FeatureKill means that the daemon can be ended by SIGKILL.
	FeatureKill spec.Feature = "kill"
	// FeatureProcess means that the daemon is a process of its own, with a pid,
	// memory and an exit status.
	FeatureProcess spec.Feature = "process"
	// FeatureInstall means that the target installs its shim.
	FeatureInstall spec.Feature = "install"
	// FeatureGC is the CNI command GC.
	FeatureGC spec.Feature = "gc"
	// FeatureStatus is the CNI command STATUS.
	FeatureStatus spec.Feature = "status"
	// FeatureHotplug is the endpoint /delegate.
	FeatureHotplug spec.Feature = "hotplug"
	// FeatureReconcile means that the daemon may follow the annotations of running
	// pods: it attaches and detaches what changes.
	FeatureReconcile spec.Feature = "reconcile"
	// FeatureStrays means that the daemon reports pods that ask for networks and
	// were attached by somebody else.
	FeatureStrays spec.Feature = "strays"
	// FeaturePanic means that looking up a pod whose name begins with "panic-"
	// makes the daemon panic, in the process that judges it.
	FeaturePanic spec.Feature = "panic"
	// FeatureTakeover means that it deletes what a Multus that ran there before had
	// attached.
	FeatureTakeover spec.Feature = "takeover"
	// FeatureDevices means that it gives attachments the devices of their pod, of a
	// kubelet whose socket its configuration names.
	FeatureDevices spec.Feature = "devices"
	// FeatureCertificate means that the daemon may authenticate with a client
	// certificate of its node (Multus' perNodeCertificate).
	FeatureCertificate spec.Feature = "certificate"
	// FeatureNodeConf means that the daemon writes the node's CNI configuration.
	FeatureNodeConf spec.Feature = "nodeconf"
	// FeatureChain means that the daemon attaches every pod to an auxiliary chain
	// of plugins (Multus' auxiliaryCNIChainName).
	FeatureChain spec.Feature = "chain"
	// FeatureShimLog means that the shim's configuration has Multus' logging keys:
	// logFile, logLevel, logToStderr.
	FeatureShimLog spec.Feature = "shim-log"
	// FeatureClient means that the target has the API's client functions: those of
	// the target file's client, or, of a target without, package api's are its own.
	FeatureClient spec.Feature = "client"
	// FeatureMultusConfig means that the daemon's configuration has Multus' keys.
	FeatureMultusConfig spec.Feature = "multus-config"
	// FeatureNodeNetworks means that the daemon's configuration names the default
	// network (a definition, a file or a directory), and networks that every pod
	// gets (Multus' clusterNetwork, defaultNetworks and systemNamespaces).
	FeatureNodeNetworks spec.Feature = "node-networks"
	// FeaturePodDefault means that the annotation v1.multus-cni.io/default-network
	// replaces the default network of a pod.
	FeaturePodDefault spec.Feature = "pod-default"
	// FeatureIsolation means that the daemon may keep pods to the definitions of
	// their own namespace and of shared ones (Multus' namespaceIsolation).
	FeatureIsolation spec.Feature = "isolation"
	// FeatureMetrics is a TCP port for metrics, whose number and address the
	// daemon's configuration names.
	FeatureMetrics spec.Feature = "metrics"
	// FeatureTrace means that shim and daemon hand the runtime's trace context on to
	// delegates.
	FeatureTrace spec.Feature = "trace"
	// FeatureProbes is a TCP port for probes, /healthz and /readyz, whose number
	// the daemon's configuration names.
	FeatureProbes spec.Feature = "probes"
)

// Optional are the features that a thick plugin need not have to be complete:
// another plugin's configuration, or ways of a cluster that not every cluster
// has. A case about one of them does not apply to a target without it.
var Optional = []spec.Feature{FeatureTakeover, FeatureCertificate, FeatureChain, FeatureMultusConfig, FeatureNodeNetworks, FeaturePodDefault, FeatureIsolation, FeatureShimLog, FeatureClient, FeatureTrace, FeatureReconcile, FeatureStrays}

// Features are all of them, with the words by which a skip names each.
var Features = map[spec.Feature]string{
	FeatureReadyz:       "the endpoint /readyz",
	FeatureStandalone:   "a cluster made of a directory of manifests",
	FeatureKubernetes:   "the Kubernetes API",
	FeatureRestart:      "restarting the daemon on the same directories",
	FeatureKill:         "killing the daemon (it has no process of its own)",
	FeatureProcess:      "a daemon with a process of its own",
	FeatureInstall:      "an installer for the shim",
	FeatureGC:           "GC",
	FeatureStatus:       "STATUS",
	FeatureHotplug:      "the endpoint /delegate",
	FeatureReconcile:    "following the annotations of running pods",
	FeatureStrays:       "reporting pods that somebody else attached",
	FeaturePanic:        "a way to make the daemon panic",
	FeatureTakeover:     "taking over from Multus",
	FeatureCertificate:  "a client certificate for each node",
	FeatureDevices:      "the devices of pods, from a kubelet whose socket can be named",
	FeatureNodeConf:     "writing the node's CNI configuration",
	FeatureChain:        "an auxiliary chain of plugins",
	FeatureShimLog:      "Multus' logging keys in the shim's configuration",
	FeatureClient:       "client functions of its own",
	FeatureMultusConfig: "Multus' configuration of the daemon",
	FeatureNodeNetworks: "a configuration that names the default network and networks for every pod",
	FeaturePodDefault:   "a default network of a pod's own",
	FeatureIsolation:    "keeping pods to their namespace's networks",
	FeatureMetrics:      "a TCP port for metrics, whose number and address can be named",
	FeatureTrace:        "handing the runtime's trace context on",
	FeatureProbes:       "a TCP port for probes, whose number can be named",
}
