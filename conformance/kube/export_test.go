// SPDX-License-Identifier: Apache-2.0

package kube

import "time"

// LabelRun is the label of everything that a run makes.
const LabelRun = labelRun

// What the suite installs in a cluster.
var (
	CRDs        = crds
	Definitions = definitions
)

// SetSweepTimeout sets how long a removal may take, and returns what undoes it.
func SetSweepTimeout(d time.Duration) (undo func()) {
	sweepTimeout = d
	return func() { sweepTimeout = defaultSweepTimeout }
}
