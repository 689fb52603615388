// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"strings"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
)

func TestCatalogRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Case){
		"id": func(c *Case) { c.ID = "tiny1" }, "profile": func(c *Case) { c.Profile = "x" }, "level": func(c *Case) { c.Level = "MAY" },
		"title": func(c *Case) { c.Title = "" }, "source": func(c *Case) { c.Source = "" }, "body": func(c *Case) { c.Body = nil },
		"feature": func(c *Case) { c.Needs = []spec.Feature{"x"} },
	} {
		c := tiny("TINY-01", pass)
		spoil(&c)
		if _, err := NewCatalog(tinyProfile(c)); err == nil || !strings.Contains(err.Error(), c.ID) {
			t.Errorf("%s: %v; want an error that names the case", name, err)
		}
	}
	good := tinyProfile(tiny("TINY-01", pass))
	if _, err := NewCatalog(good); err != nil {
		t.Error(err)
	}
	other := Profile{Name: "other", Title: "Others", Cases: good.Cases}
	nameless := Profile{Title: "Others"}
	for name, profiles := range map[string][]Profile{
		"a case twice": {tinyProfile(good.Cases[0], good.Cases[0])}, "a case in two profiles": {good, other},
		"a profile twice": {good, tinyProfile()}, "a profile without a name": {nameless},
	} {
		if _, err := NewCatalog(profiles...); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// selectionCatalog has a slow case and two others, not in their order.
func selectionCatalog(t *testing.T) *Catalog {
	t.Helper()
	slow := tiny("EP-02", pass)
	slow.Slow = time.Minute
	c, err := NewCatalog(Profile{Name: "socket", Title: "s", Cases: []Case{tiny("SOCK-10", pass), tiny("SOCK-02", pass)}},
		Profile{Name: "endpoint", Title: "e", Cases: []Case{slow}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSelect(t *testing.T) {
	c := selectionCatalog(t)
	ids := func(s Selection) string {
		cases, err := c.Select(s)
		if err != nil {
			return err.Error()
		}
		var ids []string
		for _, k := range cases {
			ids = append(ids, k.ID)
		}
		return strings.Join(ids, " ")
	}
	for want, s := range map[string]Selection{
		"SOCK-02 SOCK-10 EP-02": {}, "SOCK-02 SOCK-10": {Fast: true}, "EP-02": {Profiles: []string{"endpoint"}},
		"SOCK-10": {IDs: []string{"SOCK-10"}}, "": {Level: spec.Should},
		`case "X-01" is unknown; the nearest is EP-02; a pattern such as SOCK* names several`: {IDs: []string{"X-01"}},
	} {
		if got := ids(s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
	if got := ids(Selection{Profiles: []string{"sockets"}}); !strings.Contains(got, `profile "sockets" is unknown`) || !strings.Contains(got, "endpoint") {
		t.Error(got)
	}
}

// A profile judges its own kind: it is passed over for others, and refused when
// it was asked for.
func TestSelectByKind(t *testing.T) {
	birds := tinyProfile(tiny("TINY-01", pass))
	birds.Judges = func(s Subject) bool { return s.Name() == "bird" }
	c, err := NewCatalog(birds, Profile{Name: "any", Title: "a", Cases: []Case{tiny("ANY-01", pass)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		subject string
		s       Selection
		want    string
	}{
		{"bird", Selection{}, "TINY-01 ANY-01"}, {"fish", Selection{}, "ANY-01"},
		{"fish", Selection{IDs: []string{"TINY-01"}}, "case TINY-01 is of profile tiny, which judges another kind of target than fish"},
		{"fish", Selection{Profiles: []string{"tiny"}}, "case TINY-01 is of profile tiny, which judges another kind of target than fish"},
		{"fish", Selection{Level: spec.Should}, "no case is selected that judges a target like fish"},
	} {
		cases, err := c.selectFor(k.s, idle{name: k.subject})
		var got []string
		for _, c := range cases {
			got = append(got, c.ID)
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if strings.Join(got, " ") != k.want {
			t.Errorf("%s, %+v: %q, want %q", k.subject, k.s, got, k.want)
		}
	}
}
