// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// A go test of one's own judges a daemon's binaries: each case is a subtest. It
// needs root.
func ExampleRun() {
	// In your package, this is func TestConformance(t *testing.T).
	_ = func(t *testing.T) {
		target, err := conformance.LoadTarget("target.yaml")
		if err != nil {
			t.Fatal(err)
		}
		conformance.Run(t, conformance.Config{Target: target, PluginDir: "/opt/cni/bin"})
	}
}

// A program of one's own judges a target. It executes itself for each case, so
// it has to begin with what the children do. It needs root.
func ExampleJudge() {
	target, err := conformance.Load("target.yaml")
	if err != nil {
		log.Fatal(err)
	}
	settings := conformance.Settings{Target: target, PluginDir: "/opt/cni/bin"}
	if conformance.IsChild() {
		conformance.RunChild(settings)
	}
	r, err := conformance.Judge(context.Background(), conformance.Options{
		Settings: settings, Selection: conformance.Selection{Profiles: []string{"add", "del"}, Level: conformance.Must},
		Command: func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := r.Write("report"); err != nil {
		log.Fatal(err)
	}
	if n := r.Count(conformance.Must); n.Failed > 0 {
		log.Fatalf("%d of %d MUSTs failed", n.Failed, n.Passed+n.Failed)
	}
}

// The requirements are values that a program can list.
func ExampleCatalog() {
	catalog, err := conformance.Catalog()
	if err != nil {
		log.Fatal(err)
	}
	c, _ := catalog.Find("SOCK-02")
	fmt.Println(c.ID, c.Level, c.Profile)
	// Output: SOCK-02 MUST socket
}

// A profile of one's own is judged beside the suite's: here one case for thick
// plugins.
func ExampleCatalog_profileOfOnesOwn() {
	site := thick.NewProfile("site", "What this site asks of thick plugins", thick.Case{
		ID: "SITE-01", Level: conformance.Must, Source: "our handbook", Title: "A pod can be attached",
		Body: func(ctx context.Context, e *thick.Env) {
			e.Start(ctx)
			Expect(e.Add(ctx, e.Sandbox()).OK()).To(BeTrue())
		},
	})
	catalog, err := conformance.Catalog(site)
	if err != nil {
		log.Fatal(err)
	}
	cases, err := catalog.Select(conformance.Selection{Profiles: []string{"site"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range cases {
		fmt.Println(c.Requirement)
	}
	// Output: SITE-01 (A pod can be attached)
}

// A report that was written can be read back, and compared with others.
func ExampleReport() {
	var reports []*conformance.Report
	for _, path := range []string{"ours/report.json", "theirs/report.json"} {
		r, err := report.ReadReport(path)
		if err != nil {
			log.Fatal(err)
		}
		reports = append(reports, r)
	}
	compared, err := report.Compare(reports...)
	if err != nil {
		log.Fatal(err)
	}
	if err := compared.WriteText(os.Stdout); err != nil {
		log.Fatal(err)
	}
}
