// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"os"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/bench/scale"
)

// scale measures what the daemons of many nodes cost an API server.
func (b *bench) scale(ctx context.Context) {
	ginkgo.GinkgoHelper()
	report, err := scale.Measure(ctx, scale.Options{
		Daemons: b.settings.Hollow, Nodes: b.settings.Nodes, Assets: b.settings.KubernetesAssets, WorkDir: b.sides[0].WorkDir(),
		Progress: b.progress, Stderr: os.Stderr,
	})
	b.report.Scale = report
	Expect(err).NotTo(HaveOccurred(), "nodes at scale")
}

// scalePlots draw what grows with the number of nodes, a line for each daemon.
func scalePlots(r *scale.Report) []plot {
	if r == nil {
		return nil
	}
	var all []plot
	for _, q := range scale.Growing {
		p := plot{Title: q.What, X: "nodes", Y: q.Unit}
		for i := range r.Sides {
			var points []plotPoint
			for j := range r.Sides[i].Trials {
				t := &r.Sides[i].Trials[j]
				points = append(points, plotPoint{float64(t.Nodes), max(q.Of(t), 0)})
			}
			p.add(r.Sides[i].Name, points)
		}
		all = append(all, p)
	}
	return all
}
