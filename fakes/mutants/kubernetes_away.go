// SPDX-License-Identifier: Apache-2.0

package main

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

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The daemon's way to the API server: that it may be away, and what it
// authenticates with.
func init() {
	register(
		mutant{name: "del-asks-api-server", cases: []string{"RES-04"}, kubernetes: true, daemon: delAsksAPIServer,
			fault: "DEL asks the API server for the pod, and fails when nobody answers"},
		mutant{name: "check-asks-api-server", cases: []string{"RES-04"}, kubernetes: true, daemon: checkAsksAPIServer,
			fault: "CHECK asks the API server for the pod, and fails when nobody answers"},
		mutant{name: "status-asks-api-server", cases: []string{"RES-04"}, kubernetes: true, daemon: statusAsksAPIServer,
			fault: "STATUS fails while the API server is away"},
		mutant{name: "gc-waits-for-adds", cases: []string{"RES-04"}, kubernetes: true, daemon: gcWaitsForAdds,
			fault: "GC waits for ADDs that wait for the API server"},
		mutant{name: "away-internal-error", cases: []string{"RES-04"}, kubernetes: true, daemon: awayInternalError,
			fault: "an ADD without an API server has the code of an internal error"},
		mutant{name: "adds-fill-daemon", cases: []string{"RES-04"}, kubernetes: true, daemon: addsFillDaemon,
			fault: "there are 16 workers, and ADDs that wait for the API server hold all of them"},
		mutant{name: "add-waits-for-ever", cases: []string{"RES-04"}, kubernetes: true, daemon: addWaitsForEver,
			fault: "an ADD asks the API server again until it answers, or the request ends"},
		mutant{name: "certificate-duration-ignored", cases: []string{"NET-15"}, kubernetes: true, daemon: certificateDurationIgnored,
			fault: "the certificate is asked for a day, whatever is configured"},
		mutant{name: "certificate-key-for-all", cases: []string{"NET-15"}, kubernetes: true, daemon: certificateKeyForAll,
			fault: "everybody can read the certificate's key"},
		mutant{name: "certificate-not-kept", cases: []string{"NET-15"}, kubernetes: true, unserved: true, daemon: certificateNotKept,
			fault: "a daemon that starts asks for another certificate, and does not serve until it has it"},
		mutant{name: "token-read-once", cases: []string{"NET-16"}, kubernetes: true, daemon: tokenReadOnce,
			fault: "the token of the kubeconfig is read once, at the start"},
	)
}

// askFor asks the API server for the request's pod. That there is none is an
// answer.
func askFor(ctx context.Context, a *assembly, r *attach.Request) error {
	live, ok := a.cluster.(cluster.LiveCluster)
	if !ok {
		return nil
	}
	if _, err := live.LivePod(ctx, r.Pod.Namespace, r.Pod.Name); err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return types.NewError(types.ErrTryAgainLater, "the pod cannot be looked up", err.Error())
	}
	return nil
}

func delAsksAPIServer(a *assembly) {
	a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		if err := askFor(ctx, a, r); err != nil {
			return err
		}
		return next.Del(ctx, r)
	})
}

func checkAsksAPIServer(a *assembly) {
	a.onCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		if err := askFor(ctx, a, r); err != nil {
			return err
		}
		return next.Check(ctx, r)
	})
}

func statusAsksAPIServer(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.status = func(ctx context.Context) error {
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
func gcWaitsForAdds(a *assembly) {
	var adding sync.WaitGroup
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			adding.Add(1)
			defer adding.Done()
			return next.Add(ctx, r)
		}
		h.gc = func(ctx context.Context, r *attach.Request) error {
			adding.Wait()
			return next.GC(ctx, r)
		}
	})
}

// addsFillDaemon bounds the requests in flight, whatever they wait for.
func addsFillDaemon(a *assembly) {
	workers := make(chan struct{}, 16)
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if decode(r) != nil {
			workers <- struct{}{}
			defer func() { <-workers }()
		}
		next.ServeHTTP(w, r)
	})
}

func addWaitsForEver(a *assembly) {
	a.wrapAPI(func(next *apiLayer) cluster.Cluster { return &tireless{next} })
}

// tireless is a cluster that gives no look-up of a pod up.
type tireless struct{ *apiLayer }

// Pod implements cluster.Cluster.
func (t *tireless) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	for {
		pod, err := t.apiLayer.Pod(ctx, namespace, name)
		if err == nil || errors.Is(err, cluster.ErrNotFound) || ctx.Err() != nil {
			return pod, err
		}
	}
}

func awayInternalError(a *assembly) {
	a.onFailure(func(_ *http.Request, req *api.Request, ans *answered, cniError map[string]any) {
		if req != nil && req.Env["CNI_COMMAND"] == "ADD" && strings.Contains(string(ans.body), "API server") {
			cniError["code"] = types.ErrInternal
		}
	})
}

func certificateDurationIgnored(a *assembly) {
	a.onStart(func() error {
		a.config.PerNodeCertificate.CertDuration = daemon.Duration(24 * time.Hour)
		return nil
	})
}

// certificateKeyForAll gives the certificate's files the mode of most files.
func certificateKeyForAll(a *assembly) {
	a.onCommand(func(string, *api.Request) {
		_ = filepath.WalkDir(a.config.PerNodeCertificate.CertDir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			return os.Chmod(path, 0o644)
		})
	})
}

func certificateNotKept(a *assembly) {
	a.onStart(func() error {
		if dir := a.config.PerNodeCertificate.CertDir; dir != "" {
			return os.RemoveAll(dir)
		}
		return nil
	})
}

// tokenReadOnce has the daemon use a copy that nobody renews.
func tokenReadOnce(a *assembly) {
	a.onStart(func() error {
		once := filepath.Join(a.config.CNIDir, ".kubeconfig")
		data, err := os.ReadFile(a.config.Kubeconfig)
		if err == nil {
			err = os.WriteFile(once, data, 0o600)
		}
		a.config.Kubeconfig = once
		return err
	})
	a.onEnd(func() error { return os.Remove(a.config.Kubeconfig) })
}
