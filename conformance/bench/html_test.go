// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/conformance/bench/scale"
)

func TestPageOfNodesAtScale(t *testing.T) {
	trial := func(nodes int) scale.Trial {
		return scale.Trial{Nodes: nodes, Change: scale.Change{Milliseconds: 10 + float64(nodes)/4}}
	}
	r := &Report{Sides: []Side{{Name: "thicket"}}, Scale: &scale.Report{Sides: []scale.Side{
		{Name: "one", Trials: []scale.Trial{trial(50), trial(100)}}, {Name: "other", Trials: []scale.Trial{trial(50)}},
	}}}
	var page strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"nodes with one", "nodes with other", "<figcaption>a definition changes: until all nodes know</figcaption>", scale.Assumption[:20]} {
		if !strings.Contains(strings.ToLower(page.String()), strings.ToLower(want)) {
			t.Errorf("the page does not have %q", want)
		}
	}
	plots := scalePlots(r.Scale)
	at := slices.IndexFunc(plots, func(p plot) bool { return strings.HasPrefix(p.Title, "a definition changes: until") })
	if at < 0 || len(plots[at].Lines) != 2 || plots[at].MaxX != 100 || plots[at].Lines[0].Points[1] != (plotPoint{100, 35}) {
		t.Errorf("the plot is %+v", plots)
	}
	if scalePlots(nil) != nil {
		t.Error("there are plots of nothing")
	}
}

func TestScaleIsAskedForByName(t *testing.T) {
	all := &Settings{}
	if all.measures("scale") || !all.measures("long") {
		t.Error("without names: scale has to be left out, and nothing else")
	}
	named := &Settings{Scenarios: []string{"scale"}}
	if !named.measures("scale") || named.measures("long") {
		t.Error("named scenarios, and no others, have to be measured")
	}
}
