// SPDX-License-Identifier: Apache-2.0

// Package browser opens pages in a real browser. The pages that the suite makes
// for people are tested with it. The test is skipped on a machine without a browser.
package browser

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Width is how wide a page is shown, but for Looks' phone, in pixels.
const Width = 1200

// Page is a page in a browser, and what the browser complained about.
type Page struct {
	ctx        context.Context
	mu         sync.Mutex
	complaints []string
}

// Open opens a file as a person would: from file://.
func Open(t *testing.T, file string) *Page {
	t.Helper()
	path := find()
	if path == "" {
		t.Skip("no chromium, chromium-browser or google-chrome on PATH: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	allocated, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closePage := chromedp.NewContext(allocated)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); closePage() })
	p := &Page{}
	// The first use starts the browser, which lives as long as its context.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	p.ctx = limited
	_, logged := chromedp.Call(limited, log.Enable, cdp.Empty{})
	_, traced := chromedp.Call(limited, runtime.Enable, cdp.Empty{})
	if err := errors.Join(logged, traced); err != nil {
		t.Fatal(err)
	}
	p.Do(t, chromedp.EmulateViewport(Width, 900), chromedp.Navigate("file://"+file))
	return p
}

func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// listen collects what the browser complains about.
func (p *Page) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event.(type) {
	case *runtime.EventExceptionThrown, *runtime.EventConsoleAPICalled, *log.EventEntryAdded:
		text, _ := json.Marshal(event)
		p.complaints = append(p.complaints, fmt.Sprintf("%T %s", event, text))
	}
}

// Do has the browser do something, one after the other.
func (p *Page) Do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// Text evaluates a script's expression and returns it as a text.
func (p *Page) Text(t *testing.T, expression string) string {
	t.Helper()
	s, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Choose sets a filter as its user does, and returns the ids that are shown.
func (p *Page) Choose(t *testing.T, name, value string) string {
	t.Helper()
	return p.Text(t, fmt.Sprintf(`(() => { const f = document.forms[0].elements[%q];
		if (f.type === "checkbox") f.checked = %q === "true"; else f.value = %q;
		f.dispatchEvent(new Event("input", {bubbles: true}));
		return [...document.querySelectorAll("[data-case]")].filter(c => c.getClientRects().length).map(c => c.id).join(" ") })()`, name, value, value))
}

// Looks keeps screenshots under the name (wide and on a phone, light and dark) and
// asserts what every page has to keep: no complaint of the browser, dark colours in
// dark mode, no sideways scroll at 390 pixels. The page is wide and light again
// afterwards.
func (p *Page) Looks(t *testing.T, name string) {
	t.Helper()
	p.keep(t, name)
	light := p.Text(t, "getComputedStyle(document.body).backgroundColor")
	p.Scheme(t, "dark")
	if dark := p.Text(t, "getComputedStyle(document.body).backgroundColor"); light != "rgb(255, 255, 255)" || dark != "rgb(20, 24, 31)" {
		t.Errorf("%s is %s, and %s in dark mode", name, light, dark)
	}
	p.keep(t, name+"-dark")
	p.Do(t, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	if width := p.Text(t, "Math.max(document.documentElement.scrollWidth, innerWidth)"); width != "390" {
		t.Errorf("%s is %s px wide on a phone of 390", name, width)
	}
	p.keep(t, name+"-phone-dark")
	p.Scheme(t, "light")
	p.keep(t, name+"-phone")
	p.Do(t, chromedp.EmulateViewport(Width, 900))
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.complaints) > 0 {
		t.Errorf("%s: the browser complained: %s", name, strings.Join(p.complaints, "; "))
	}
}

// Scheme sets which colours the reader prefers, light or dark.
func (p *Page) Scheme(t *testing.T, prefers string) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: prefers}}}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
}

// keep writes a screenshot into the directory of artifacts: THICKET_ARTIFACTS, or
// report/ of the repository, seen from a package two directories below it.
func (p *Page) keep(t *testing.T, name string) {
	t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	dir := cmp.Or(os.Getenv("THICKET_ARTIFACTS"), filepath.Join("..", "..", "report"))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}
