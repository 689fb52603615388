// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"

	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// PodLimits bound what one pod may cost in bytes and in number, so that no
// tenant's annotations and definitions end the daemon (SEC-06). What is over a
// limit fails its own pod's ADD with code 7.
type PodLimits struct {
	network.Limits
	// RecordLimit is the largest record of one sandbox, in bytes: all of its
	// configurations and what its delegates answered.
	RecordLimit int64 `json:"recordLimit"`
}

func defaultPodLimits() PodLimits {
	return PodLimits{Limits: network.DefaultLimits(), RecordLimit: ledger.DefaultLimit}
}

// validate returns the key whose value cannot be meant.
func (l *PodLimits) validate() (key string, err error) {
	for _, limit := range []struct {
		key         string
		value, most int64
	}{
		{"selectionLimit", int64(l.SelectionLimit), 1 << 20}, {"pluginLimit", int64(l.PluginLimit), 1 << 20},
		{"configLimit", int64(l.ConfigLimit), ledger.MaxLimit / 4}, {"planLimit", int64(l.PlanLimit), ledger.MaxLimit / 4},
		{"recordLimit", l.RecordLimit, ledger.MaxLimit},
	} {
		if limit.value < 1 || limit.value > limit.most {
			return limit.key, fmt.Errorf("%d is not between 1 and %d; leave it out for its default", limit.value, limit.most)
		}
	}
	return "", nil
}
