// SPDX-License-Identifier: Apache-2.0

package plugin

import "github.com/thicket-cni/thicket/conformance/spec"

// Role is what a plugin is for.
type Role string

// The roles. A meta plugin works on its own and behind another plugin, so it is
// judged by both profiles.
const (
	RoleInterface Role = "interface"
	RoleIPAM      Role = "ipam"
	RoleChained   Role = "chained"
	RoleMeta      Role = "meta"
)

// What a plugin may be able to do, and some cases need.
const (
	// FeatureIPAM means that the configuration names an IPAM plugin, {{.IPAM}},
	// which the plugin delegates to.
	FeatureIPAM spec.Feature = "ipam"
	// FeatureCheck, FeatureGC and FeatureStatus are the commands of those names.
	FeatureCheck  spec.Feature = "check"
	FeatureGC     spec.Feature = "gc"
	FeatureStatus spec.Feature = "status"
	// FeatureMAC and FeatureIPs are the capability arguments of those names.
	FeatureMAC spec.Feature = "mac"
	FeatureIPs spec.Feature = "ips"
	// FeatureMasquerade means that the variant masquerade hides containers behind
	// the host's addresses.
	FeatureMasquerade spec.Feature = "masquerade"
	// FeatureDaemon means that the plugin asks a daemon of its own.
	FeatureDaemon spec.Feature = "daemon"
	// FeatureStandalone means that a chained plugin works without a previous
	// result, too.
	FeatureStandalone spec.Feature = "standalone"
	// FeaturePool means that an IPAM plugin chooses addresses from {{.Subnet}} and
	// keeps what it has given to whom. One without it answers what its
	// configuration says.
	FeaturePool spec.Feature = "pool"
	// FeatureArgs means that an IPAM plugin understands args.cni.ips and the IP of
	// CNI_ARGS, FeatureRanges the capability argument ipRanges.
	FeatureArgs   spec.Feature = "args"
	FeatureRanges spec.Feature = "ranges"
)

// Features are all of them, with the words by which a skip names each.
var Features = map[spec.Feature]string{
	FeatureIPAM:       "delegating to an IPAM plugin",
	FeatureCheck:      "CHECK",
	FeatureGC:         "GC",
	FeatureStatus:     "STATUS",
	FeatureMAC:        "the capability argument mac",
	FeatureIPs:        "the capability argument ips",
	FeatureMasquerade: "masquerading",
	FeatureDaemon:     "a daemon of its own",
	FeatureStandalone: "working without a previous result",
	FeaturePool:       "choosing addresses from a range",
	FeatureArgs:       "addresses asked for by args.cni.ips",
	FeatureRanges:     "the capability argument ipRanges",
}

// Optional are those that nobody owes: a case that needs one does not apply to a
// plugin without it.
var Optional = []spec.Feature{FeatureIPAM, FeatureMAC, FeatureIPs, FeatureMasquerade, FeatureDaemon, FeatureStandalone, FeaturePool, FeatureArgs, FeatureRanges}
