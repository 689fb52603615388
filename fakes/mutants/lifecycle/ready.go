// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profile lifecycle: readiness, and what the runtime is told to ask.
var readyMutants = []mutant.Mutant{
	{Name: "ready-without-networks", Cases: []string{"ST-03"}, Daemon: onReady(func(error) error { return nil }),
		Fault: "readiness does not look at the networks that every pod needs"},
	{Name: "ready-never-again", Cases: []string{"ST-03"}, Daemon: onReady(sticky()),
		Fault: "a daemon that was not ready once stays so"},
	{Name: "status-without-plugins", Cases: []string{"ST-03"}, Daemon: statusWithoutPlugins,
		Fault: "STATUS does not look whether the default network's plugins are installed"},
	{Name: "status-reason-lost", Cases: []string{"ST-03"}, Daemon: onStatusAnswer(func(_ *seam.Answered, e map[string]any) {
		e["msg"], e["details"] = "not ready", ""
	}), Fault: "STATUS does not say what is missing"},
	{Name: "ready-by-healthz", Cases: []string{"ST-03"}, Daemon: func(a *seam.Assembly) {
		a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.Path == api.MultusReadyAPIEndpoint {
				r.URL.Path = api.MultusHealthAPIEndpoint
			}
			next.ServeHTTP(w, r)
		})
	}, Fault: "a daemon that answers is ready"},
	{Name: "rights-not-asked", Cases: []string{"ST-03"}, Kubernetes: true, Daemon: rightsNotAsked,
		Fault: "the right to write a pod's status is not looked at before the first pod"},
	{Name: "rights-asked-once", Cases: []string{"ST-03"}, Kubernetes: true, Daemon: rightsAskedOnce,
		Fault: "a right that is lost while the daemon runs does not make it unready"},
	{Name: "nodeconf-version-of-default", Cases: []string{"ST-04"}, Daemon: nodeConfVersionOfDefault,
		Fault: "the generated configuration has the version of the default network"},
	{Name: "nodeconf-version-without-status", Cases: []string{"ST-04"}, Daemon: func(a *seam.Assembly) { a.Config.CNIVersion = "1.0.0" },
		Fault: "the generated configuration has a version that knows no STATUS"},
}

// readiness is an engine whose readiness a fault replaces.
type readiness struct {
	daemon.Engine
	change func(error) error
}

// Ready implements daemon.Engine.
func (r *readiness) Ready(ctx context.Context) error { return r.change(r.Engine.Ready(ctx)) }

func onReady(f func(error) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.WrapEngine(func(next daemon.Engine, _ attach.Options) daemon.Engine { return &readiness{next, f} })
	}
}

// sticky keeps the first error.
func sticky() func(error) error {
	var first error
	return func(err error) error {
		if first == nil {
			first = err
		}
		return first
	}
}

func statusWithoutPlugins(a *seam.Assembly) {
	a.OnStatus(func(ctx context.Context, next daemon.Engine, o attach.Options) error {
		err := next.Status(ctx)
		if err != nil && strings.Contains(err.Error(), "cannot be attached") {
			return nil
		}
		return err
	})
}

// overlooking is a cluster that is ready without the rights that it needs.
type overlooking struct {
	*seam.ApiLayer
	ready chan struct{}
}

func (o *overlooking) overlooks() bool {
	what := o.Kubernetes.Waiting()
	return what == "" || strings.Contains(what, "right to write")
}

// Waiting implements cluster.Cluster.
func (o *overlooking) Waiting() string {
	if o.overlooks() {
		return ""
	}
	return o.Kubernetes.Waiting()
}

// Ready implements cluster.Cluster.
func (o *overlooking) Ready() <-chan struct{} { return o.ready }

// Run follows the API server and says when it would be ready.
func (o *overlooking) Run(ctx context.Context) error {
	go func() {
		for !o.overlooks() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
		close(o.ready)
	}()
	return o.Kubernetes.Run(ctx)
}

// contented is a cluster that waits for nothing any more once it was ready.
type contented struct{ *seam.ApiLayer }

// Waiting implements cluster.Cluster.
func (c *contented) Waiting() string {
	select {
	case <-c.Kubernetes.Ready():
		return ""
	default:
		return c.Kubernetes.Waiting()
	}
}

func rightsAskedOnce(a *seam.Assembly) {
	a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &contented{next} })
}

func rightsNotAsked(a *seam.Assembly) {
	a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &overlooking{next, make(chan struct{})} })
}

// nodeConfVersionOfDefault generates the version that the default network has
// when the daemon starts.
func nodeConfVersionOfDefault(a *seam.Assembly) {
	a.OnStart(func() error {
		files, err := filepath.Glob(filepath.Join(a.Config.CNIConfigDir, "*.conflist"))
		if err != nil || len(files) == 0 {
			return err
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			return err
		}
		var network struct {
			CNIVersion string `json:"cniVersion"`
		}
		err = json.Unmarshal(data, &network)
		a.Config.CNIVersion = network.CNIVersion
		return err
	})
}
