// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Pick returns the names that are asked for, in the order of all. Each one asked
// for is a name or a pattern of path.Match, such as SOCK-*. One that fits no name
// is an error, which calls it by the kind of thing that it should be and says
// which name is nearest.
func Pick(kind string, asked, all []string) ([]string, error) {
	for _, a := range asked {
		fits := func(name string) bool { return fits(a, name) }
		if _, err := path.Match(a, ""); err != nil {
			return nil, fmt.Errorf("%s %q: %w; a pattern is such as %s", kind, a, err, example(all))
		}
		if !slices.ContainsFunc(all, fits) {
			return nil, fmt.Errorf("%s %q is unknown%s; a pattern such as %s names several", kind, a, nearest(a, all), example(all))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return !slices.ContainsFunc(asked, func(a string) bool { return fits(a, name) })
	}), nil
}

// fits reports whether a name is the one asked for, or fits the pattern.
func fits(asked, name string) bool {
	matched, err := path.Match(asked, name)
	return err == nil && matched
}

// example is a pattern that fits some of the names.
func example(all []string) string {
	if len(all) == 0 {
		return "SOCK-*"
	}
	first, _, _ := strings.Cut(all[0], "-")
	return first + "*"
}

// nearest says which name is most like the one asked for, in whatever case it is;
// "" when there is none.
func nearest(asked string, all []string) string {
	if len(all) == 0 {
		return ""
	}
	distance := func(name string) int {
		return levenshtein.ComputeDistance(strings.ToUpper(asked), strings.ToUpper(name))
	}
	best := slices.MinFunc(all, func(a, b string) int { return distance(a) - distance(b) })
	return fmt.Sprintf("; the nearest is %s", best)
}
