// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"

	"github.com/thicket-cni/thicket/conformance/report"
)

// checkWaivers holds the waivers to the catalog. A waiver for a case that there is
// not would excuse nothing, and nobody would notice.
func (o *Options) checkWaivers() error {
	if o.Waivers == nil {
		return nil
	}
	for i, w := range o.Waivers.Waivers {
		k, known := o.Catalog.Find(w.ID)
		switch {
		case !known:
			return o.Waivers.Wrong(i, fmt.Errorf("case %q is unknown%s", w.ID, nearest(w.ID, o.Catalog.ids())))
		case w.Profile != "" && w.Profile != k.Profile:
			return o.Waivers.Wrong(i, fmt.Errorf("%s is of profile %s, and not of %q", w.ID, k.Profile, w.Profile))
		case w.Version != "" && k.Editions == nil:
			return o.Waivers.Wrong(i, fmt.Errorf("%s is not judged by versions; leave out version: %s", w.ID, w.Version))
		}
	}
	return nil
}

// verdict judges one case, and excuses its failure where a waiver does.
func (s *session) verdict(ctx context.Context, i int) report.CaseResult {
	s.start(i)
	r := s.judge(ctx, i)
	if s.Waivers != nil {
		s.Waivers.Apply(&r, s.report.Started)
	}
	if s.Baseline != nil {
		r.Hold(s.Baseline)
	}
	return r
}

// hold says in the report what came of the waivers, and which baseline it was held
// against.
func (s *session) hold() {
	if s.Waivers != nil {
		s.report.Waivers = s.Waivers.Outcomes(s.report, s.report.Started)
	}
	if s.Baseline != nil {
		s.report.Hold(s.Baseline)
	}
}
