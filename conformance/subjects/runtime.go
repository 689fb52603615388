// SPDX-License-Identifier: Apache-2.0

package subjects

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/runtime/cri"
	"github.com/thicket-cni/thicket/conformance/runtime/delegating"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// fillRuntime is Fill for a runtime. The drivers meet the cases here: the package
// of the cases knows none of them.
func (s *Settings) fillRuntime(t *runtime.Target, to *suite.Options, api *kube.API) error {
	settings := runtime.Settings{Target: t, FakeDelegate: s.FakeDelegate, NoPreflight: s.NoPreflight, Drivers: map[string]runtime.MakeDriver{"cri": cri.Make}}
	if path := t.Thick(); path != "" {
		plugin := s.Delegates
		if plugin == nil {
			var err error
			if plugin, err = thick.LoadTarget(path); err != nil {
				return err
			}
		}
		delegates := thick.Settings{Target: plugin, FakeDelegate: s.FakeDelegate, Kubeconfig: s.Kubeconfig, KubernetesAssets: s.KubernetesAssets}
		settings.Drivers["thick"], settings.Seen = delegating.Make(delegates), delegating.Directories(plugin)
		settings.Beside = delegates.Services(api)
		if dir := kube.Directory(); dir != "" {
			settings.Seen = append(settings.Seen, dir)
		}
	}
	to.Setup, to.Services, to.Tasks = settings, slices.Concat(settings.Beside, settings.Services()), settings.Tasks()
	return nil
}
