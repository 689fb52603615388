// SPDX-License-Identifier: Apache-2.0

package runtime

import "github.com/thicket-cni/thicket/conformance/spec"

// What a runtime may be able to do, and some cases need.
const (
	// FeatureCheck, FeatureGC and FeatureStatus are the commands of those names:
	// the runtime can be had to execute them.
	FeatureCheck  spec.Feature = "check"
	FeatureGC     spec.Feature = "gc"
	FeatureStatus spec.Feature = "status"
	// FeatureMulti means that the runtime attaches a container to several networks
	// in one go.
	FeatureMulti spec.Feature = "multi"
	// FeatureCapabilities means that the runtime has capability args to pass:
	// portMappings and bandwidth.
	FeatureCapabilities spec.Feature = "capabilities"
	// FeatureLifecycle means that the runtime looks after a container from its ADD to
	// its DEL, and does not leave that to its caller as a library does.
	FeatureLifecycle spec.Feature = "lifecycle"
	// FeatureKill means that the runtime, or a process of it, can be killed and
	// started again.
	FeatureKill spec.Feature = "kill"
)

// Features are all of them, with the words by which a skip names each.
var Features = map[spec.Feature]string{
	FeatureCheck:        "CHECK",
	FeatureGC:           "GC",
	FeatureStatus:       "STATUS",
	FeatureMulti:        "several networks of one container at once",
	FeatureCapabilities: "capability args",
	FeatureLifecycle:    "looking after a container from ADD to DEL, which a library leaves to its caller",
	FeatureKill:         "being killed and started again",
}

// Optional are those that nobody owes: a case that needs one does not apply to a
// runtime without it.
var Optional = []spec.Feature{FeatureMulti, FeatureCapabilities, FeatureLifecycle, FeatureKill}
