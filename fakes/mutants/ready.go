// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"os"
	"sync/atomic"

	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile ready: what the daemon says of itself, and how it ends.
func init() {
	register(
		mutant{name: "health-get-only", cases: []string{"READY-06"}, daemon: onHealth(healthGetOnly),
			fault: "/healthz refuses POST"},
		mutant{name: "health-any-method", cases: []string{"READY-06"}, daemon: onHealth(healthAnyMethod),
			fault: "/healthz answers any method with 200"},
		mutant{name: "health-without-allow", cases: []string{"READY-06"}, daemon: onHealth(healthWithoutAllow),
			fault: "/healthz refuses methods without saying which it takes"},
		mutant{name: "readyz-before-sync", cases: []string{"READY-07"}, daemon: readyzBeforeSync,
			fault: "/readyz is 200 as soon as the daemon listens"},
		mutant{name: "readyz-after-sigterm", cases: []string{"READY-07"}, daemon: whileTerminating(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.Path != api.MultusReadyAPIEndpoint {
				next.ServeHTTP(w, r)
			}
		}), fault: "/readyz stays 200 after SIGTERM"},
		mutant{name: "drain-exits-at-once", cases: []string{"READY-08"}, daemon: exitsAtSigterm,
			fault: "SIGTERM ends the daemon at once"},
		mutant{name: "drain-cancels", cases: []string{"READY-08"}, daemon: func(a *assembly) { a.config.GracePeriod = 0 },
			fault: "SIGTERM cancels the requests in flight"},
		mutant{name: "drain-refuses-del", cases: []string{"READY-08"}, daemon: whileTerminating(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if req := decode(r); req != nil && req.Env["CNI_COMMAND"] == "DEL" {
				answerError(w, http.StatusServiceUnavailable, 11, "the daemon is shutting down")
				return
			}
			next.ServeHTTP(w, r)
		}), fault: "DEL is refused from SIGTERM on"},
		mutant{name: "drain-unhealthy", cases: []string{"READY-08"}, daemon: whileTerminating(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.Path == api.MultusHealthAPIEndpoint {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		}), fault: "/healthz is 503 from SIGTERM on"},
	)
}

// onHealth replaces /healthz.
func onHealth(f http.HandlerFunc) func(*assembly) {
	return func(a *assembly) {
		a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
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

func readyzBeforeSync(a *assembly) {
	terminating := a.terminatingFlag()
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == api.MultusReadyAPIEndpoint && !terminating.Load() {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// terminatingFlag is set at the signal to stop.
func (a *assembly) terminatingFlag() *atomic.Bool {
	var flag atomic.Bool
	a.onTerminate(func() { flag.Store(true) })
	return &flag
}

// whileTerminating has f called for the requests after the signal to stop.
func whileTerminating(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) func(*assembly) {
	return func(a *assembly) {
		terminating := a.terminatingFlag()
		a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if terminating.Load() {
				f(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func exitsAtSigterm(a *assembly) { a.onTerminate(func() { os.Exit(0) }) }
