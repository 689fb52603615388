// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance/apiserver"
	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// idle is a target whose daemon is never started.
type idle struct{}

func (idle) Name() string                               { return "idle" }
func (idle) Features() []spec.Feature                   { return []spec.Feature{thick.FeatureKubernetes} }
func (idle) Version(context.Context) (string, error)    { return "1", nil }
func (idle) ShimPath() string                           { return "/bin/true" }
func (idle) ShimConfig(thick.Paths) ([]byte, error)     { return []byte("{}"), nil }
func (idle) DaemonConfig(thick.Paths) ([]byte, error)   { return []byte("{}"), nil }
func (idle) Install(context.Context, thick.Paths) error { return errors.ErrUnsupported }
func (idle) StartDaemon(context.Context, thick.Paths, []byte) (thick.Process, error) {
	return nil, errors.ErrUnsupported
}

func tiny(id string, body func(context.Context, *thick.Env)) thick.Case {
	return thick.Case{ID: id, Level: spec.Must, Title: id, Source: "test", Timeout: time.Minute, Body: body}
}

// run is a run of tiny cases with an API server.
type run struct {
	suite.Options
	settings thick.Settings
	shared   *kube.API
}

// newRun makes this test program run one of these cases in a child.
func newRun(t *testing.T, cases ...thick.Case) *run {
	t.Helper()
	catalog, err := suite.NewCatalog(thick.NewProfile("tiny", "Tiny cases", cases...))
	if err != nil {
		t.Fatal(err)
	}
	r := &run{settings: thick.Settings{Target: idle{}, FakeDelegate: "/bin/true", KubernetesAssets: "../../bin/k8s"}}
	r.Options = suite.Options{Settings: suite.Settings{Subject: idle{}, Setup: r.settings}, Catalog: catalog}
	if suite.IsChild() {
		suite.RunChild(suite.Child{Settings: r.Settings, Catalog: catalog})
	}
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	if _, err := apiserver.Assets(r.settings.KubernetesAssets); err != nil {
		t.Skip(err)
	}
	r.WorkDir = t.TempDir()
	r.Command = func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=0")
	}
	return r
}

// judge runs the cases, with the API server that the settings name by now.
func (r *run) judge(ctx context.Context) (*report.Report, error) {
	o := r.Options
	o.Setup, o.Services = r.settings, r.settings.Services(r.shared)
	return suite.Judge(ctx, o)
}
