// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/apiserver"
	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// heldRun makes a pod and looks at it again when the file "hold" in the run's
// work directory is gone.
func heldRun(ctx context.Context, e *thick.Env) {
	s := e.Sandbox(node.Networks("blue"))
	root := filepath.Dir(filepath.Dir(e.WorkDir()))
	e.Touch(filepath.Join(root, "made"))
	Eventually(func() error { _, err := os.Stat(filepath.Join(root, "hold")); return err }).WithContext(ctx).
		WithTimeout(30 * time.Second).Should(MatchError(fs.ErrNotExist))
	Expect(e.Api().Annotations(s)).To(HaveLen(1), "the pod of this run")
}

// TestRunsShareAPIServer has one run begin and end while another one is in the
// same case.
func TestRunsShareAPIServer(t *testing.T) {
	o := newRun(t, tiny("TINY-01", heldRun))
	g := NewWithT(t)
	api, err := kube.HostAPI(t.Context(), o.settings.API(idle{}), o.WorkDir)
	g.Expect(err).NotTo(HaveOccurred())
	o.shared = api
	judge := func(work string) *report.Report {
		run := *o
		run.WorkDir = work
		r, err := run.judge(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		return r
	}
	long := t.TempDir()
	hold := filepath.Join(long, "hold")
	g.Expect(os.WriteFile(hold, nil, 0o600)).To(Succeed())
	reports := make(chan *report.Report, 1)
	go func() { reports <- judge(long) }()
	g.Eventually(func() string { return filepath.Join(long, "made") }).WithTimeout(20 * time.Second).Should(BeAnExistingFile())
	short := judge(t.TempDir())
	g.Expect(os.Remove(hold)).To(Succeed())
	for _, r := range []report.CaseResult{short.Cases[0], (<-reports).Cases[0]} {
		g.Expect(r.State).To(Equal(report.Passed), "%s\n%s", r.Reason, r.Story())
	}
	g.Expect(api.Close()).To(Succeed())
	left, _ := filepath.Glob(filepath.Join(o.WorkDir, "*"))
	g.Expect(left).To(BeEmpty(), "what is left of the API server")
}

func TestSharedAPIServerIsMissing(t *testing.T) {
	t.Setenv(apiserver.AssetsVariable, "/nonexistent")
	_, err := kube.HostAPI(t.Context(), kube.Settings{Daemons: []kube.Daemon{{Name: "idle"}}}, t.TempDir())
	var missing *apiserver.MissingError
	if !errors.As(err, &missing) {
		t.Errorf("err = %v", err)
	}
}
