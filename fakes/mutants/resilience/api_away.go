// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The daemon's way to the API server: that it may be away, and what it
// authenticates with.
var apiAwayMutants = []mutant.Mutant{
	{Name: "del-asks-api-server", Cases: []string{"RES-04"}, Kubernetes: true, Daemon: delAsksAPIServer,
		Fault: "DEL asks the API server for the pod, and fails when nobody answers"},
	{Name: "check-asks-api-server", Cases: []string{"RES-04"}, Kubernetes: true, Daemon: checkAsksAPIServer,
		Fault: "CHECK asks the API server for the pod, and fails when nobody answers"},
	{Name: "status-asks-api-server", Cases: []string{"RES-04"}, Kubernetes: true, Daemon: statusAsksAPIServer,
		Fault: "STATUS fails while the API server is away"},
	{Name: "gc-waits-for-adds", Cases: []string{"RES-04"}, Kubernetes: true, Daemon: gcWaitsForAdds,
		Fault: "GC waits for ADDs that wait for the API server"},
	{Name: "away-internal-error", Cases: []string{"RES-04"}, Kubernetes: true, Daemon: awayInternalError,
		Fault: "an ADD without an API server has the code of an internal error"},
	{Name: "adds-fill-daemon", Cases: []string{"RES-04"}, Kubernetes: true, Daemon: addsFillDaemon,
		Fault: "there are 16 workers, and ADDs that wait for the API server hold all of them"},
	{Name: "add-waits-for-ever", Cases: []string{"RES-04"}, Kubernetes: true, Daemon: addWaitsForEver,
		Fault: "an ADD asks the API server again until it answers, or the request ends"},
	{Name: "certificate-duration-ignored", Cases: []string{"NET-15"}, Kubernetes: true, Daemon: certificateDurationIgnored,
		Fault: "the certificate is asked for a day, whatever is configured"},
	{Name: "certificate-key-for-all", Cases: []string{"NET-15"}, Kubernetes: true, Daemon: certificateKeyForAll,
		Fault: "everybody can read the certificate's key"},
	{Name: "certificate-not-kept", Cases: []string{"NET-15"}, Kubernetes: true, Unserved: true, Daemon: certificateNotKept,
		Fault: "a daemon that starts asks for another certificate, and does not serve until it has it"},
	{Name: "token-read-once", Cases: []string{"NET-16"}, Kubernetes: true, Daemon: tokenReadOnce,
		Fault: "the token of the kubeconfig is read once, at the start"},
}

// askFor asks the API server for the request's pod. That there is none is an
// answer.
func askFor(ctx context.Context, a *seam.Assembly, r *attach.Request) error {
	live, ok := a.Cluster.(cluster.LiveCluster)
	if !ok {
		return nil
	}
	if _, err := live.LivePod(ctx, r.Pod.Namespace, r.Pod.Name); err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return types.NewError(types.ErrTryAgainLater, "the pod cannot be looked up", err.Error())
	}
	return nil
}

func delAsksAPIServer(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		if err := askFor(ctx, a, r); err != nil {
			return err
		}
		return next.Del(ctx, r)
	})
}

func checkAsksAPIServer(a *seam.Assembly) {
	a.OnCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		if err := askFor(ctx, a, r); err != nil {
			return err
		}
		return next.Check(ctx, r)
	})
}

func statusAsksAPIServer(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnStatus = func(ctx context.Context) error {
			nobody := &attach.Request{}
			nobody.Pod.Namespace, nobody.Pod.Name = "default", "nobody"
			if err := askFor(ctx, a, nobody); err != nil {
				return err
			}
			return next.Status(ctx)
		}
	})
}

// gcWaitsForAdds holds ADDs that wait for their pod's look-up against GC.
func gcWaitsForAdds(a *seam.Assembly) {
	var adding sync.WaitGroup
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			adding.Add(1)
			defer adding.Done()
			return next.Add(ctx, r)
		}
		h.Gc = func(ctx context.Context, r *attach.Request) error {
			adding.Wait()
			return next.GC(ctx, r)
		}
	})
}

// addsFillDaemon bounds the requests in flight, whatever they wait for.
func addsFillDaemon(a *seam.Assembly) {
	workers := make(chan struct{}, 16)
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if seam.Decode(r) != nil {
			workers <- struct{}{}
			defer func() { <-workers }()
		}
		next.ServeHTTP(w, r)
	})
}

func addWaitsForEver(a *seam.Assembly) {
	a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &tireless{next} })
}

// tireless is a cluster that gives no look-up of a pod up.
type tireless struct{ *seam.ApiLayer }

// Pod implements cluster.Cluster.
func (t *tireless) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	for {
		pod, err := t.ApiLayer.Pod(ctx, namespace, name)
		if err == nil || errors.Is(err, cluster.ErrNotFound) || ctx.Err() != nil {
			return pod, err
		}
	}
}

func awayInternalError(a *seam.Assembly) {
	a.OnFailure(func(_ *http.Request, req *api.Request, ans *seam.Answered, cniError map[string]any) {
		if req != nil && req.Env["CNI_COMMAND"] == "ADD" && strings.Contains(string(ans.Body), "API server") {
			cniError["code"] = types.ErrInternal
		}
	})
}

func certificateDurationIgnored(a *seam.Assembly) {
	a.OnStart(func() error {
		a.Config.PerNodeCertificate.CertDuration = daemon.Duration(24 * time.Hour)
		return nil
	})
}

// certificateKeyForAll gives the certificate's files the mode of most files.
func certificateKeyForAll(a *seam.Assembly) {
	a.OnCommand(func(string, *api.Request) {
		_ = filepath.WalkDir(a.Config.PerNodeCertificate.CertDir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			return os.Chmod(path, 0o644)
		})
	})
}

func certificateNotKept(a *seam.Assembly) {
	a.OnStart(func() error {
		if dir := a.Config.PerNodeCertificate.CertDir; dir != "" {
			return os.RemoveAll(dir)
		}
		return nil
	})
}

// tokenReadOnce has the daemon use a copy that nobody renews.
func tokenReadOnce(a *seam.Assembly) {
	a.OnStart(func() error {
		once := filepath.Join(a.Config.CNIDir, ".kubeconfig")
		data, err := os.ReadFile(a.Config.Kubeconfig)
		if err == nil {
			err = os.WriteFile(once, data, 0o600)
		}
		a.Config.Kubeconfig = once
		return err
	})
	a.OnEnd(func() error { return os.Remove(a.Config.Kubeconfig) })
}
