// SPDX-License-Identifier: Apache-2.0

package report

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/thicket-cni/thicket/conformance/browser"
)

// openPage opens what a function writes.
func openPage(t *testing.T, write func(io.Writer) error) *browser.Page {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return browser.Open(t, path)
}

func TestBrowserReport(t *testing.T) {
	r := sampleReport("sample", true)
	b := openPage(t, r.WriteHTML)
	for _, want := range []string{"1 MUST failed", "net1-a", "no end", "Expected", "delegate failed"} {
		if !strings.Contains(b.Text(t, "document.body.innerText"), want) {
			t.Errorf("%q is not shown", want)
		}
	}
	b.Looks(t, "report")
	if ids := b.Choose(t, "state", "failed"); ids != "SHIM-13 ADD-05" {
		t.Errorf("failed are %q", ids)
	}
	if ids := b.Choose(t, "level", "SHOULD"); ids != "SHIM-13" {
		t.Errorf("failed SHOULDs are %q", ids)
	}
	if ids := b.Choose(t, "profile", "socket"); ids != "" || b.Text(t, "shown.textContent") != "no case fits" {
		t.Errorf("failed SHOULDs of socket are %q", ids)
	}
	b.Do(t, chromedp.Focus(`a[href="#SOCK-04"]`), chromedp.KeyEvent("\r"), chromedp.WaitVisible("#SOCK-04 ul"))
	if text := b.Text(t, `document.querySelector("#SOCK-04").innerText`); !strings.Contains(text, "50 restarts, 41 873 looks") {
		t.Errorf("the case that was gone to shows %q", text)
	}
}

func TestBrowserCompare(t *testing.T) {
	c, err := Compare(sampleReport("alpha", false), sampleReport("beta", true))
	if err != nil {
		t.Fatal(err)
	}
	b := openPage(t, c.WriteHTML)
	if all := b.Choose(t, "differs", "false"); len(strings.Fields(all)) != len(c.Rows) || !strings.HasPrefix(all, "SHIM-13 ADD-05 SOCK-01") {
		t.Errorf("without a filter: %q", all)
	}
	b.Looks(t, "compare")
	if ids := b.Choose(t, "differs", "true"); ids != "SHIM-13 ADD-05" {
		t.Errorf("only differences: %q", ids)
	}
	if ids := b.Choose(t, "profile", "add"); ids != "ADD-05" || b.Text(t, `document.querySelector("#ADD-05 .failed").textContent`) != "failed" {
		t.Errorf("differences of add: %q", ids)
	}
}
