// SPDX-License-Identifier: Apache-2.0

package conformance

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
)

// heldRun makes a pod and looks at it again when the file "hold" in the run's
// work directory is gone.
func heldRun(ctx context.Context, e *Env) {
	s := e.Sandbox(Networks("blue"))
	root := filepath.Dir(filepath.Dir(e.settings.WorkDir))
	e.Touch(filepath.Join(root, "made"))
	Eventually(func() error { _, err := os.Stat(filepath.Join(root, "hold")); return err }).WithContext(ctx).
		WithTimeout(30 * time.Second).Should(MatchError(fs.ErrNotExist))
	Expect(e.api().annotations(s)).To(HaveLen(1), "the pod of this run")
}

// TestRunsShareAPIServer has one run begin and end while another one is in the
// same case.
func TestRunsShareAPIServer(t *testing.T) {
	o := kubernetesOptions(t, tiny("TINY-01", heldRun))
	g := NewWithT(t)
	api, err := HostAPI(t.Context(), o.Settings)
	g.Expect(err).NotTo(HaveOccurred())
	o.API = api
	judge := func(work string) *Report {
		run := o
		run.WorkDir = work
		report, err := Judge(t.Context(), run)
		g.Expect(err).NotTo(HaveOccurred())
		return report
	}
	long := t.TempDir()
	hold := filepath.Join(long, "hold")
	g.Expect(os.WriteFile(hold, nil, 0o600)).To(Succeed())
	reports := make(chan *Report, 1)
	go func() { reports <- judge(long) }()
	g.Eventually(filepath.Join(long, "made")).WithTimeout(20 * time.Second).Should(BeAnExistingFile())
	short := judge(t.TempDir())
	g.Expect(os.Remove(hold)).To(Succeed())
	for _, r := range []CaseResult{short.Cases[0], (<-reports).Cases[0]} {
		g.Expect(r.State).To(Equal(Passed), "%s\n%s", r.Reason, r.Story())
	}
	g.Expect(api.Close()).To(Succeed())
	left, _ := filepath.Glob(filepath.Join(o.WorkDir, "*"))
	g.Expect(left).To(BeEmpty(), "what is left of the API server")
}

func TestSharedAPIServerIsMissing(t *testing.T) {
	t.Setenv(apiserver.AssetsVariable, "/nonexistent")
	_, err := HostAPI(t.Context(), Settings{Target: idleTarget{}, WorkDir: t.TempDir()})
	var missing *apiserver.MissingError
	if !errors.As(err, &missing) {
		t.Errorf("err = %v", err)
	}
}
