// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Profiles are the groups of requirements, in the order of the contract.
var Profiles = []string{
	"socket", "ready", "endpoint", "shim", "add", "del", "check", "lifecycle", "hotplug", "multinet", "resilience", "security",
}

var (
	catalog []Case
	idForm  = regexp.MustCompile(`^[A-Z]+-([0-9]{2,})$`)
)

// register adds cases to the catalog. A malformed one is a mistake of the
// suite's own and stops every program that links it.
func register(cases ...Case) {
	for _, c := range cases {
		if err := c.validate(); err != nil {
			panic(fmt.Sprintf("conformance: case %s: %v", c.ID, err))
		}
		if _, taken := find(c.ID); taken {
			panic(fmt.Sprintf("conformance: case %s is registered twice", c.ID))
		}
		catalog = append(catalog, c)
	}
}

func (c *Case) validate() error {
	switch {
	case !idForm.MatchString(c.ID):
		return fmt.Errorf("the id is not of the form ABC-01")
	case !slices.Contains(Profiles, c.Profile):
		return fmt.Errorf("profile %q is unknown", c.Profile)
	case c.Level != Must && c.Level != Should:
		return fmt.Errorf("level %q is unknown", c.Level)
	case c.Title == "" || c.Source == "" || c.Body == nil:
		return fmt.Errorf("title, source and body are required")
	}
	for _, f := range c.Needs {
		if features[f] == "" {
			return fmt.Errorf("feature %q is unknown", f)
		}
	}
	return nil
}

func find(id string) (*Case, bool) {
	for i := range catalog {
		if catalog[i].ID == id {
			return &catalog[i], true
		}
	}
	return nil, false
}

// Catalog returns all cases, by profile in the contract's order, and by number.
func Catalog() []Case {
	all := slices.Clone(catalog)
	slices.SortFunc(all, func(a, b Case) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Profiles, a.Profile), slices.Index(Profiles, b.Profile)),
			strings.Compare(prefix(a.ID), prefix(b.ID)),
			cmp.Compare(number(a.ID), number(b.ID)),
		)
	})
	return all
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
	// Profiles and IDs keep only these, each when it is not empty.
	Profiles, IDs []string
	// Level keeps only cases of this level, when it is not empty.
	Level Level
	// Fast leaves out the cases that take long.
	Fast bool
}

// Select returns the selected cases in the catalog's order. An unknown profile
// or id is an error that lists the known ones.
func Select(s Selection) ([]Case, error) {
	all := Catalog()
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	if err := known("profile", s.Profiles, Profiles); err != nil {
		return nil, err
	}
	if err := known("case", s.IDs, ids); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c Case) bool {
		return len(s.Profiles) > 0 && !slices.Contains(s.Profiles, c.Profile) ||
			len(s.IDs) > 0 && !slices.Contains(s.IDs, c.ID) ||
			s.Level != "" && s.Level != c.Level ||
			s.Fast && c.Slow > 0
	}), nil
}

func known(kind string, asked, all []string) error {
	for _, a := range asked {
		if !slices.Contains(all, a) {
			return fmt.Errorf("%s %q is unknown; there are %s", kind, a, strings.Join(all, ", "))
		}
	}
	return nil
}
