// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"testing"

	"github.com/thicket-cni/thicket/conformance"
)

// metrics is what the exporter of this example prints.
const metrics = `printf '# TYPE up gauge\nup{job="a"} 1\n'`

// TestExporter judges a target of one's own kind. The suite's profiles do not
// judge it, and are not run.
func TestExporter(t *testing.T) {
	conformance.Run(t, conformance.Config{
		Target: Exporter{Command: []string{"/bin/sh", "-c", metrics}, Labelled: true}, Profiles: []conformance.Profile{Profile(), SiteProfile()},
	})
}

// TestThickPlugin judges a thick plugin by one of the suite's profiles and by a
// profile of one's own beside it. The exporters' profile is passed over.
func TestThickPlugin(t *testing.T) {
	target, err := conformance.LoadTarget("target.yaml")
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, conformance.Config{
		Target: target, Profiles: []conformance.Profile{Profile(), SiteProfile()},
		Selection: conformance.Selection{Profiles: []string{"ready", "site"}, Fast: true}, PluginDir: "../../bin/cni",
	})
}
