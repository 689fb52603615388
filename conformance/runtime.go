// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/runtime/cri"
	"github.com/thicket-cni/thicket/conformance/runtime/delegating"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// judgeRuntime fills in what the cases of a runtime need. The drivers meet the
// cases here: the package of the cases knows none of them.
func (o *Options) judgeRuntime(t *Runtime, to *suite.Options) error {
	settings := runtime.Settings{Target: t, FakeDelegate: o.FakeDelegate, NoPreflight: o.NoPreflight, Drivers: map[string]runtime.MakeDriver{"cri": cri.Make}}
	if path := t.Thick(); path != "" {
		plugin := o.Delegates
		if plugin == nil {
			var err error
			if plugin, err = thick.LoadTarget(path); err != nil {
				return err
			}
		}
		delegates := thick.Settings{Target: plugin, FakeDelegate: o.FakeDelegate, Kubeconfig: o.Kubeconfig, KubernetesAssets: o.KubernetesAssets}
		settings.Drivers["thick"], settings.Seen = delegating.Make(delegates), delegating.Directories(plugin)
		settings.Beside = delegates.Services(o.API)
		if dir := kube.Directory(); dir != "" {
			settings.Seen = append(settings.Seen, dir)
		}
	}
	to.Setup, to.Services, to.Tasks = settings, slices.Concat(settings.Beside, settings.Services()), settings.Tasks()
	return nil
}
