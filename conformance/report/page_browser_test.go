// SPDX-License-Identifier: Apache-2.0

package report

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

// browser is a page in a real browser, and what it complained about.
type browser struct {
	ctx        context.Context
	mu         sync.Mutex
	complaints []string
}

// openPage opens a file as a person would: from file://.
func openPage(t *testing.T, write func(*os.File) error) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		t.Skip("no chromium, chromium-browser or google-chrome on PATH: apt-get install chromium")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	if err := write(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	allocated, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closePage := chromedp.NewContext(allocated)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); closePage() })
	b := &browser{}
	// The first use starts the browser, which lives as long as its context.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	b.ctx = limited
	_, logged := chromedp.Call(limited, log.Enable, cdp.Empty{})
	_, traced := chromedp.Call(limited, runtime.Enable, cdp.Empty{})
	if err := errors.Join(logged, traced); err != nil {
		t.Fatal(err)
	}
	b.do(t, chromedp.EmulateViewport(1200, 900), chromedp.Navigate("file://"+file.Name()))
	return b
}

// listen collects what the browser complains about.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event.(type) {
	case *runtime.EventExceptionThrown, *runtime.EventConsoleAPICalled, *log.EventEntryAdded:
		text, _ := json.Marshal(event)
		b.complaints = append(b.complaints, fmt.Sprintf("%T %s", event, text))
	}
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// text evaluates an expression that gives a string.
func (b *browser) text(t *testing.T, expression string) string {
	t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// choose sets a filter as its user does, and returns the ids that are shown.
func (b *browser) choose(t *testing.T, name, value string) string {
	t.Helper()
	return b.text(t, fmt.Sprintf(`(() => { const f = document.forms[0].elements[%q];
		if (f.type === "checkbox") f.checked = %q === "true"; else f.value = %q;
		f.dispatchEvent(new Event("input", {bubbles: true}));
		return [...document.querySelectorAll("[data-case]")].filter(c => c.getClientRects().length).map(c => c.id).join(" ") })()`, name, value, value))
}

// looks keeps screenshots (wide, dark, phone) and asserts what every page has
// to keep: no complaint, dark colours in dark mode, no sideways scroll at 390 px.
func (b *browser) looks(t *testing.T, name string) {
	t.Helper()
	b.keep(t, name)
	light := b.text(t, "getComputedStyle(document.body).backgroundColor")
	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, dark); err != nil {
		t.Fatal(err)
	}
	if dark := b.text(t, "getComputedStyle(document.body).backgroundColor"); light != "rgb(255, 255, 255)" || dark != "rgb(20, 24, 31)" {
		t.Errorf("%s is %s, and %s in dark mode", name, light, dark)
	}
	b.keep(t, name+"-dark")
	b.do(t, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	if width := b.text(t, "Math.max(document.documentElement.scrollWidth, innerWidth)"); width != "390" {
		t.Errorf("%s is %s px wide on a phone of 390", name, width)
	}
	b.keep(t, name+"-phone")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) > 0 {
		t.Errorf("%s: the browser complained: %s", name, strings.Join(b.complaints, "; "))
	}
}

// keep writes a screenshot into the directory of artifacts.
func (b *browser) keep(t *testing.T, name string) {
	t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	dir := cmp.Or(os.Getenv("THICKET_ARTIFACTS"), filepath.Join("..", "report"))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBrowserReport(t *testing.T) {
	r := sampleReport("sample", true)
	b := openPage(t, func(f *os.File) error { return r.WriteHTML(f) })
	for _, want := range []string{"1 MUST failed", "net1-a", "no end", "Expected", "delegate failed"} {
		if !strings.Contains(b.text(t, "document.body.innerText"), want) {
			t.Errorf("%q is not shown", want)
		}
	}
	b.looks(t, "report")
	b.do(t, chromedp.EmulateViewport(1200, 900))
	if ids := b.choose(t, "state", "failed"); ids != "SHIM-13 ADD-05" {
		t.Errorf("failed are %q", ids)
	}
	if ids := b.choose(t, "level", "SHOULD"); ids != "SHIM-13" {
		t.Errorf("failed SHOULDs are %q", ids)
	}
	if ids := b.choose(t, "profile", "socket"); ids != "" || b.text(t, "shown.textContent") != "no case fits" {
		t.Errorf("failed SHOULDs of socket are %q", ids)
	}
	b.do(t, chromedp.Focus(`a[href="#SOCK-04"]`), chromedp.KeyEvent("\r"), chromedp.WaitVisible("#SOCK-04 ul"))
	if text := b.text(t, `document.querySelector("#SOCK-04").innerText`); !strings.Contains(text, "50 restarts, 41 873 looks") {
		t.Errorf("the case that was gone to shows %q", text)
	}
}

func TestBrowserCompare(t *testing.T) {
	c, err := Compare(sampleReport("alpha", false), sampleReport("beta", true))
	if err != nil {
		t.Fatal(err)
	}
	b := openPage(t, func(f *os.File) error { return c.WriteHTML(f) })
	if all := b.choose(t, "differs", "false"); len(strings.Fields(all)) != len(c.Rows) || !strings.HasPrefix(all, "SHIM-13 ADD-05 SOCK-01") {
		t.Errorf("without a filter: %q", all)
	}
	b.looks(t, "compare")
	if ids := b.choose(t, "differs", "true"); ids != "SHIM-13 ADD-05" {
		t.Errorf("only differences: %q", ids)
	}
	if ids := b.choose(t, "profile", "add"); ids != "ADD-05" || b.text(t, `document.querySelector("#ADD-05 .failed").textContent`) != "failed" {
		t.Errorf("differences of add: %q", ids)
	}
}
