// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Level says what a failed case means.
type Level string

const (
	// Must is for requirements that gate: an implementation that fails one
	// does not conform.
	Must Level = "MUST"
	// Should is for requirements that are reported and do not gate.
	Should Level = "SHOULD"
)

// Feature is something that a target may be able to do and that some cases need.
type Feature string

const (
	// FeatureReadyz is the endpoint /readyz.
	FeatureReadyz Feature = "readyz"
	// FeatureStandalone is a cluster made of a directory of manifests.
	FeatureStandalone Feature = "standalone"
	// FeatureKubernetes is a cluster that is a Kubernetes API server; a target
	// with it gets one.
	FeatureKubernetes Feature = "kubernetes"
	// FeatureRestart is that a fresh daemon can be started on the same directories.
	FeatureRestart Feature = "restart"
	// FeatureKill is that the daemon can be ended by SIGKILL.
	FeatureKill Feature = "kill"
	// FeatureProcess is that the daemon is a process of its own, with a pid,
	// memory and an exit status.
	FeatureProcess Feature = "process"
	// FeatureInstall is that the target installs its shim.
	FeatureInstall Feature = "install"
	// FeatureGC is the CNI command GC.
	FeatureGC Feature = "gc"
	// FeatureStatus is the CNI command STATUS.
	FeatureStatus Feature = "status"
	// FeatureHotplug is the endpoint /delegate.
	FeatureHotplug Feature = "hotplug"
	// FeaturePanic is that looking up a pod whose name begins with "panic-"
	// makes the daemon panic, in the process that judges it.
	FeaturePanic Feature = "panic"
	// FeatureTakeover is that it deletes what a Multus that ran there before had
	// attached.
	FeatureTakeover Feature = "takeover"
	// FeatureDevices is that it gives attachments the devices of their pod, of a
	// kubelet whose socket its configuration names.
	FeatureDevices Feature = "devices"
	// FeatureCertificate is that the daemon may authenticate with a client
	// certificate of its node (Multus' perNodeCertificate).
	FeatureCertificate Feature = "certificate"
	// FeatureNodeConf is that the daemon writes the node's CNI configuration.
	FeatureNodeConf Feature = "nodeconf"
	// FeatureChain means that the daemon attaches every pod to an auxiliary chain
	// of plugins (Multus' auxiliaryCNIChainName).
	FeatureChain Feature = "chain"
)

// features are all of them with what a skip says.
var features = map[Feature]string{
	FeatureReadyz:      "the endpoint /readyz",
	FeatureStandalone:  "a cluster made of a directory of manifests",
	FeatureKubernetes:  "the Kubernetes API",
	FeatureRestart:     "restarting the daemon on the same directories",
	FeatureKill:        "killing the daemon (it has no process of its own)",
	FeatureProcess:     "a daemon with a process of its own",
	FeatureInstall:     "an installer for the shim",
	FeatureGC:          "GC",
	FeatureStatus:      "STATUS",
	FeatureHotplug:     "the endpoint /delegate",
	FeaturePanic:       "a way to make the daemon panic",
	FeatureTakeover:    "taking over from Multus",
	FeatureCertificate: "a client certificate for each node",
	FeatureDevices:     "the devices of pods, from a kubelet whose socket can be named",
	FeatureNodeConf:    "writing the node's CNI configuration",
	FeatureChain:       "an auxiliary chain of plugins",
}

// DefaultTimeout is how long a case may take that sets no Timeout.
const DefaultTimeout = 60 * time.Second

// Case is one requirement and the behaviour that shows whether it is kept.
type Case struct {
	// ID is the requirement's, such as "SOCK-04": never used for another one.
	ID string
	// Profile is the group that it belongs to, such as "socket".
	Profile string
	Level   Level
	// Title is the requirement in a line.
	Title string
	// Source is where it comes from: the API, the CNI spec, the NPWG standard,
	// or the number of a problem that users reported against Multus.
	Source string
	// Needs is what a target must support; a target that does not is skipped
	// with the reason.
	Needs []Feature
	// Slow is how long the case takes when that is more than a few seconds;
	// long cases are started first.
	Slow time.Duration
	// Alone is that the case measures whether a loaded machine keeps a runtime's
	// deadline, which tells nothing on one that does much else at the same time.
	Alone bool
	// Timeout ends the case as failed; zero means DefaultTimeout.
	Timeout time.Duration
	// Body is the behaviour, run as a Ginkgo spec: it asserts with Gomega.
	Body func(ctx context.Context, e *Env)
	// Live is what can be asked of a daemon that already runs on a node in use;
	// nil when the case cannot leave such a node as it was.
	Live func(ctx context.Context, e *Env)
}

func (c *Case) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

// knownFeatures are all features, sorted.
func knownFeatures() []Feature { return slices.Sorted(maps.Keys(features)) }
