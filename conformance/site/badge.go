// SPDX-License-Identifier: Apache-2.0

package site

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

//go:embed *.tmpl
var templates embed.FS

// badge is a result in a few words, as a picture and as the answer of an
// "endpoint" of shields.io.
type badge struct {
	Label, Message string
	Result         report.Result
}

// badges are those of an implementation's last version, by name: one of all that
// was judged, and one of each profile where there are several.
func badges(i *Implementation) map[string]badge {
	last := i.Last()
	all := map[string]badge{i.Name: whole(last)}
	if len(last.Summary) < 2 {
		return all
	}
	for _, p := range last.Summary {
		all[i.Name+"/"+p.Profile] = badge{"conformance: " + p.Profile, counted(p.Must), p.Must.Result()}
	}
	return all
}

func sortedBadges(all map[string]badge) []string { return slices.Sorted(maps.Keys(all)) }

// whole is the badge of everything. Where each version of CNI is judged, those
// count by which all profiles conform.
func whole(v Version) badge {
	must := v.Count(spec.Must)
	b := badge{"conformance", counted(must), must.Result()}
	conforms := map[string]bool{}
	for _, e := range v.Editions {
		before, seen := conforms[e.Edition]
		conforms[e.Edition] = (before || !seen) && e.Conforms()
	}
	if len(conforms) == 0 {
		return b
	}
	total := len(conforms)
	maps.DeleteFunc(conforms, func(_ string, yes bool) bool { return !yes })
	switch kept := slices.Sorted(maps.Keys(conforms)); {
	case len(kept) == 0:
		b.Message = "no version of CNI"
	case len(kept) < total:
		b.Message, b.Result = "CNI "+strings.Join(kept, ", "), report.ResultPartial
	default:
		b.Message = "CNI " + strings.Join(kept, ", ")
	}
	return b
}

// counted are a badge's words for MUSTs.
func counted(n report.Count) string {
	c := cellOf(n)
	switch c.Result {
	case report.ResultNone:
		return "not judged"
	case report.ResultSuccess:
		return c.Count + " MUST"
	}
	return c.Count + " MUST, " + c.Words
}

// colours of a result: the picture's, on which white text has a contrast of 4.5 at
// least, and the name that shields.io has for it.
var colours = map[report.Result]struct{ fill, name string }{
	report.ResultSuccess: {"#1b7f4b", "brightgreen"},
	report.ResultPartial: {"#5f6b00", "yellowgreen"},
	report.ResultWaived:  {"#8a5a00", "orange"},
	report.ResultFailure: {"#b3261e", "red"},
	report.ResultNone:    {"#5b6472", "lightgrey"},
}

// endpoint is the answer that shields.io asks an endpoint for, of its schema 1.
func (b badge) endpoint() ([]byte, error) {
	return json.MarshalIndent(struct {
		Schema  int    `json:"schemaVersion"`
		Label   string `json:"label"`
		Message string `json:"message"`
		Colour  string `json:"color"`
	}{1, b.Label, b.Message, colours[b.Result].name}, "", "  ")
}

// picture is the badge as SVG. The text is set to the width that was reckoned for
// it, so that it fits with any font.
func (b badge) picture() ([]byte, error) {
	t, err := template.ParseFS(templates, "badge.svg.tmpl")
	if err != nil {
		return nil, err
	}
	label, message := width(b.Label), width(b.Message)
	var out bytes.Buffer
	err = t.Execute(&out, map[string]any{
		"Label": b.Label, "Message": b.Message, "Fill": colours[b.Result].fill,
		"LabelText": label, "MessageText": message, "LabelBox": label + 12, "MessageBox": message + 12, "Width": label + message + 24,
		"LabelAt": 6, "MessageAt": label + 18,
	})
	return out.Bytes(), err
}

// width is about how wide a text is at 11 pixels, in pixels.
func width(text string) int {
	tenths := 0
	for _, r := range text {
		switch {
		case strings.ContainsRune("ijl.,:;'|! ", r):
			tenths += 38
		case strings.ContainsRune("mwMW", r):
			tenths += 100
		default:
			tenths += 68
		}
	}
	return tenths/10 + 1
}

// inline is the picture as a part of a page.
func (b badge) inline() template.HTML {
	picture, err := b.picture()
	if err != nil {
		return template.HTML(template.HTMLEscapeString(fmt.Sprintf("%s: %s", b.Label, b.Message)))
	}
	return template.HTML(picture)
}

func (w *writer) badge(name string, b badge) {
	picture, err := b.picture()
	w.file(name+".svg", picture, err)
	answer, err := b.endpoint()
	w.file(name+".json", append(answer, '\n'), err)
}
