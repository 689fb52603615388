// SPDX-License-Identifier: Apache-2.0

package site

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/thicket-cni/thicket/conformance/browser"
)

// pale lists the texts of a page whose contrast with what is behind them is below
// 4.5, as WCAG 2 reckons it.
const pale = `(() => {
  const shade = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const over = (...colours) => { shade.clearRect(0, 0, 1, 1); for (const c of colours) { shade.fillStyle = c; shade.fillRect(0, 0, 1, 1) } return shade.getImageData(0, 0, 1, 1).data };
  const light = c => { const [r, g, b] = [...c].slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const bad = [];
  for (const e of document.body.querySelectorAll("*")) {
    if (e.closest("svg, script") || !e.getClientRects().length || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const behind = [];
    for (let at = e; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const [a, b] = [light(over(...behind)), light(over(...behind, getComputedStyle(e).color))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(e.textContent.trim().slice(0, 40) + " " + ((a + 0.05) / (b + 0.05)).toFixed(1));
  }
  return [...new Set(bad)].slice(0, 10).join("; ");
})()`

// readable asserts contrast in both schemes.
func readable(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		p.Scheme(t, scheme)
		if texts := p.Text(t, pale); texts != "" {
			t.Errorf("%s, %s: too pale: %s", name, scheme, texts)
		}
	}
}

// TestBrowserSite goes through the site of the repository's reports as a reader
// does: from the matrix to an implementation, to a requirement that it does not
// keep, and to the report.
func TestBrowserSite(t *testing.T) {
	s, dir := repositorySite(t), t.TempDir()
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	p := browser.Open(t, filepath.Join(dir, "index.html"))
	for _, i := range s.Implementations {
		if !strings.Contains(p.Text(t, "document.body.innerText"), i.Name) {
			t.Errorf("the matrix does not have %s", i.Name)
		}
	}
	readable(t, p, "matrix")
	p.Looks(t, "site-matrix")
	follow := func(selector, title string) {
		t.Helper()
		p.Do(t, chromedp.WaitVisible(selector), chromedp.Navigate(p.Text(t, fmt.Sprintf("document.querySelector(%q).href", selector))))
		if got := p.Text(t, "document.title"); !strings.Contains(got, title) {
			t.Fatalf("%s leads to %q, want %q", selector, got, title)
		}
	}
	follow(`a[href="implementations/bridge.html"]`, "Conformance of bridge")
	readable(t, p, "implementation")
	p.Looks(t, "site-implementation")
	follow(`#failed a[href="../requirements/PLUG-20.html"]`, "PLUG-20")
	if !strings.Contains(p.Text(t, "verdict.textContent"), "bridge") {
		t.Errorf("PLUG-20 says %q", p.Text(t, "verdict.textContent"))
	}
	readable(t, p, "requirement")
	p.Looks(t, "site-requirement")
	follow(`#outcomes a[href$="bridge/v1.9.1.html#PLUG-20"]`, "Conformance of bridge")
	if p.Text(t, `document.getElementById("PLUG-20").open`) != "true" {
		t.Error("the report does not show the case that was gone to")
	}
}

// TestBrowserRequirements: the list can be narrowed to what anybody fails.
func TestBrowserRequirements(t *testing.T) {
	dir := t.TempDir()
	if err := sampleSite(t).Write(dir); err != nil {
		t.Fatal(err)
	}
	p := browser.Open(t, filepath.Join(dir, "requirements.html"))
	readable(t, p, "requirements")
	p.Looks(t, "site-requirements")
	if ids := p.Choose(t, "states", "failed"); ids != "ADD-01 ADD-02" {
		t.Errorf("failed: %q", ids)
	}
	if ids := p.Choose(t, "level", "MUST"); ids != "ADD-01" {
		t.Errorf("failed MUSTs: %q", ids)
	}
}
