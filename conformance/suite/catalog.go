// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// Profile is a group of cases for one kind of subject.
type Profile struct {
	// Name is how it is selected, Title heads it in the catalog.
	Name, Title string
	// Features are all that a subject of this kind can have, with the words by
	// which a skip names each.
	Features map[spec.Feature]string
	// Optional are those of them that nobody owes: a case that needs one of these
	// does not apply to a subject without it, and is not skipped.
	Optional []spec.Feature
	// Judges reports whether the cases can be asked of a subject; nil means of
	// any.
	Judges func(Subject) bool
	// Open are questions that the profile's standard leaves open, a sentence each:
	// the catalog lists them, and no case decides one.
	Open []string
	// Cases are in any order; their Profile may be empty.
	Cases []Case
}

var idForm = regexp.MustCompile(`^[A-Z]+-([0-9]{2,})$`)

// Catalog is an ordered set of profiles whose cases have distinct ids.
type Catalog struct {
	profiles []Profile
	cases    []Case
}

// NewCatalog makes a catalog. A malformed case, and an id or a profile that
// occurs twice, is an error that names it.
func NewCatalog(profiles ...Profile) (*Catalog, error) {
	c := &Catalog{}
	for _, p := range profiles {
		if p.Name == "" || p.Title == "" {
			return nil, fmt.Errorf("profile %q: a name and a title are required", p.Name)
		}
		if _, taken := c.profile(p.Name); taken {
			return nil, fmt.Errorf("profile %q occurs twice", p.Name)
		}
		p.Cases = slices.Clone(p.Cases)
		for i := range p.Cases {
			k := &p.Cases[i]
			k.Profile = cmp.Or(k.Profile, p.Name)
			if err := p.validate(k); err != nil {
				return nil, fmt.Errorf("case %s: %w", k.ID, err)
			}
		}
		slices.SortFunc(p.Cases, func(a, b Case) int {
			return cmp.Or(strings.Compare(prefix(a.ID), prefix(b.ID)), cmp.Compare(number(a.ID), number(b.ID)))
		})
		for _, k := range p.Cases {
			if _, taken := c.Find(k.ID); taken {
				return nil, fmt.Errorf("case %s occurs twice", k.ID)
			}
			c.cases = append(c.cases, k)
		}
		c.profiles = append(c.profiles, p)
	}
	return c, nil
}

func (p *Profile) validate(c *Case) error {
	switch {
	case !idForm.MatchString(c.ID):
		return fmt.Errorf("the id is not of the form ABC-01")
	case c.Profile != p.Name:
		return fmt.Errorf("it names profile %q and is in profile %q", c.Profile, p.Name)
	case c.Level != spec.Must && c.Level != spec.Should:
		return fmt.Errorf("level %q is unknown", c.Level)
	case c.Title == "" || c.Source == "" || c.Body == nil:
		return fmt.Errorf("title, source and body are required")
	}
	for _, f := range c.Needs {
		if p.Features[f] == "" {
			return fmt.Errorf("feature %q is not one of profile %s", f, p.Name)
		}
	}
	return nil
}

// Profiles returns the profiles in their order.
func (c *Catalog) Profiles() []Profile { return slices.Clone(c.profiles) }

func (c *Catalog) profile(name string) (*Profile, bool) {
	i := slices.IndexFunc(c.profiles, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return nil, false
	}
	return &c.profiles[i], true
}

// Cases returns all cases, by profile and by number.
func (c *Catalog) Cases() []Case { return slices.Clone(c.cases) }

// Find returns the case with that id.
func (c *Catalog) Find(id string) (*Case, bool) {
	i := slices.IndexFunc(c.cases, func(k Case) bool { return k.ID == id })
	if i < 0 {
		return nil, false
	}
	return &c.cases[i], true
}

// ids are those of all cases.
func (c *Catalog) ids() []string {
	var ids []string
	for _, k := range c.cases {
		ids = append(ids, k.ID)
	}
	return ids
}

func prefix(id string) string {
	p, _, _ := strings.Cut(id, "-")
	return p
}

func number(id string) int {
	n, _ := strconv.Atoi(idForm.FindStringSubmatch(id)[1])
	return n
}

// Selection says which cases to run; its zero value selects all.
type Selection struct {
	// Profiles and IDs keep only these, each when it is not empty. An id may be a
	// pattern of path.Match, such as SOCK-*.
	Profiles, IDs []string
	// Skip leaves out these, ids or patterns, of what the others select.
	Skip []string
	// Level keeps only cases of this level, when it is not empty.
	Level spec.Level
	// Fast leaves out the cases that take long.
	Fast bool
}

// Select returns the selected cases in the catalog's order. An unknown profile
// or id is an error that names the nearest known one.
func (c *Catalog) Select(s Selection) ([]Case, error) {
	var names []string
	for _, p := range c.profiles {
		names = append(names, p.Name)
	}
	if _, err := Pick("profile", s.Profiles, names); err != nil {
		return nil, fmt.Errorf("%w; there are %s", err, strings.Join(names, ", "))
	}
	for _, asked := range [][]string{s.IDs, s.Skip} {
		if _, err := Pick("case", asked, c.ids()); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(c.Cases(), func(k Case) bool {
		return len(s.Profiles) > 0 && !named(s.Profiles, k.Profile) ||
			len(s.IDs) > 0 && !named(s.IDs, k.ID) ||
			named(s.Skip, k.ID) ||
			s.Level != "" && s.Level != k.Level ||
			s.Fast && k.Slow > 0
	}), nil
}

// selectFor is Select without the profiles that do not judge the subject. One
// that was asked for by name and does not is an error.
func (c *Catalog) selectFor(s Selection, of Subject) ([]Case, error) {
	cases, err := c.Select(s)
	if err != nil {
		return nil, err
	}
	var kept []Case
	for _, k := range cases {
		p, _ := c.profile(k.Profile)
		switch {
		case p.Judges == nil || p.Judges(of):
			kept = append(kept, k)
		case slices.Contains(s.IDs, k.ID) || slices.Contains(s.Profiles, p.Name):
			return nil, fmt.Errorf("case %s is of profile %s, which judges another kind of target than %s", k.ID, p.Name, of.Name())
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("no case is selected that judges a target like %s", of.Name())
	}
	return kept, nil
}

// reported is the selection as a report tells it; nil when it selects all.
func (s *Selection) reported() *report.Selection {
	if len(s.Profiles)+len(s.IDs)+len(s.Skip) == 0 && s.Level == "" && !s.Fast {
		return nil
	}
	return &report.Selection{Profiles: s.Profiles, Only: s.IDs, Skip: s.Skip, Level: s.Level, Fast: s.Fast}
}

// named reports whether the name is among those asked for.
func named(asked []string, name string) bool {
	return slices.ContainsFunc(asked, func(a string) bool { return fits(a, name) })
}

// missing returns the words for a feature that the case needs and the subject
// lacks, "" when there is none, and the state that the case has therefore: one
// that does not apply has no gap, whatever else is missing.
func (c *Catalog) missing(k *Case, of Subject) (words string, state report.State) {
	p, _ := c.profile(k.Profile)
	for _, f := range k.Needs {
		switch {
		case slices.Contains(of.Features(), f):
		case slices.Contains(p.Optional, f):
			return p.Features[f], report.NotApplicable
		case words == "":
			words, state = p.Features[f], report.Skipped
		}
	}
	return words, state
}
