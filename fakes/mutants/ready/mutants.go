// SPDX-License-Identifier: Apache-2.0

package ready

import (
	"net/http"
	"os"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile ready: what the daemon says of itself, and how it ends.
var mutants = []mutant.Mutant{
	{Name: "health-get-only", Cases: []string{"READY-06"}, Daemon: onHealth(healthGetOnly),
		Fault: "/healthz refuses POST"},
	{Name: "health-any-method", Cases: []string{"READY-06"}, Daemon: onHealth(healthAnyMethod),
		Fault: "/healthz answers any method with 200"},
	{Name: "health-without-allow", Cases: []string{"READY-06"}, Daemon: onHealth(healthWithoutAllow),
		Fault: "/healthz refuses methods without saying which it takes"},
	{Name: "readyz-before-sync", Cases: []string{"READY-07"}, Daemon: readyzBeforeSync,
		Fault: "/readyz is 200 as soon as the daemon listens"},
	{Name: "readyz-after-sigterm", Cases: []string{"READY-07"}, Daemon: whileTerminating(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path != api.MultusReadyAPIEndpoint {
			next.ServeHTTP(w, r)
		}
	}), Fault: "/readyz stays 200 after SIGTERM"},
	{Name: "drain-exits-at-once", Cases: []string{"READY-08"}, Daemon: exitsAtSigterm,
		Fault: "SIGTERM ends the daemon at once"},
	{Name: "drain-cancels", Cases: []string{"READY-08"}, Daemon: func(a *seam.Assembly) { a.Config.GracePeriod = 0 },
		Fault: "SIGTERM cancels the requests in flight"},
	{Name: "drain-refuses-del", Cases: []string{"READY-08"}, Daemon: whileTerminating(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if req := seam.Decode(r); req != nil && req.Env["CNI_COMMAND"] == "DEL" {
			seam.AnswerError(w, http.StatusServiceUnavailable, 11, "the daemon is shutting down")
			return
		}
		next.ServeHTTP(w, r)
	}), Fault: "DEL is refused from SIGTERM on"},
	{Name: "drain-unhealthy", Cases: []string{"READY-08"}, Daemon: whileTerminating(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == api.MultusHealthAPIEndpoint {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	}), Fault: "/healthz is 503 from SIGTERM on"},
}

// onHealth replaces /healthz.
func onHealth(f http.HandlerFunc) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.Path == api.MultusHealthAPIEndpoint {
				f(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func healthGetOnly(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func healthAnyMethod(http.ResponseWriter, *http.Request) {}

func healthWithoutAllow(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func readyzBeforeSync(a *seam.Assembly) {
	terminating := a.TerminatingFlag()
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == api.MultusReadyAPIEndpoint && !terminating.Load() {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// whileTerminating has f called for the requests after the signal to stop.
func whileTerminating(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		terminating := a.TerminatingFlag()
		a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if terminating.Load() {
				f(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func exitsAtSigterm(a *seam.Assembly) { a.OnTerminate(func() { os.Exit(0) }) }
