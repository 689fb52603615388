// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profile endpoint: what is asked.
func init() {
	register(
		mutant{name: "delegate-endpoint-missing", cases: []string{"EP-01"}, daemon: delegateEndpointMissing,
			fault: "/delegate is not there"},
		mutant{name: "any-method", cases: []string{"EP-02"}, daemon: anyMethod,
			fault: "/cni takes any method"},
		mutant{name: "method-refused-without-allow", cases: []string{"EP-02"}, daemon: refusedWithoutAllow,
			fault: "a method is refused without saying which would be taken"},
		mutant{name: "paths-by-prefix", cases: []string{"EP-02"}, daemon: pathsByPrefix,
			fault: "every path that begins with /cni is /cni"},
		mutant{name: "trailing-garbage-accepted", cases: []string{"EP-06"}, daemon: trailingGarbageAccepted,
			fault: "what follows the first JSON value of a body is ignored"},
		mutant{name: "ids-made-to-fit", cases: []string{"EP-08"}, daemon: idsMadeToFit,
			fault: "a container id with a path is cut to its last part and served"},
		mutant{name: "ids-in-paths", cases: []string{"EP-08"}, daemon: idsInPaths,
			fault: "a lock file is named after the container id before the id is validated"},
		mutant{name: "body-unlimited", cases: []string{"EP-09"}, daemon: func(a *assembly) { a.config.RequestLimit = 1 << 40 },
			fault: "a body of any size is read"},
		mutant{name: "body-limit-off-by-one", cases: []string{"EP-09"}, daemon: func(a *assembly) { a.config.RequestLimit++ },
			fault: "a body of one byte over the limit is read"},
		mutant{name: "body-read-before-limit", cases: []string{"EP-09"}, daemon: func(a *assembly) { a.onBody(func(body []byte) []byte { return body }) },
			fault: "a body is read into memory as a whole before its size is looked at"},
		mutant{name: "args-cut-at-equals", cases: []string{"EP-11"}, daemon: argsCutAtEquals,
			fault: "a value of CNI_ARGS ends at its first '='"},
		mutant{name: "args-unknown-dropped", cases: []string{"EP-11"}, daemon: argsUnknownDropped,
			fault: "unknown keys of CNI_ARGS are dropped, IgnoreUnknown or not"},
		mutant{name: "unknown-fields-refused", cases: []string{"EP-12"}, daemon: unknownFieldsRefused,
			fault: "a request with an unknown JSON field is refused"},
		mutant{name: "config-base64-for-urls", cases: []string{"EP-12"}, daemon: configBase64ForURLs,
			fault: "config is read as base64 for URLs"},
		mutant{name: "panic-ends-daemon", cases: []string{"EP-13"}, daemon: panicEndsDaemon,
			fault: "a panic ends the daemon"},
		mutant{name: "panic-hangs-up", cases: []string{"EP-13"}, daemon: panicHangsUp,
			fault: "a request that panics gets no answer"},
		mutant{name: "panic-keeps-lock", cases: []string{"EP-13"}, daemon: panicKeepsLock,
			fault: "a panic leaves the container's lock held"},
	)
}

func delegateEndpointMissing(a *assembly) {
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == api.MultusDelegateAPIEndpoint {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func anyMethod(a *assembly) {
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == api.MultusCNIAPIEndpoint {
			r.Method = http.MethodPost
		}
		next.ServeHTTP(w, r)
	})
}

func refusedWithoutAllow(a *assembly) {
	a.onAnswer(func(_ *http.Request, _ *api.Request, ans *answered) { ans.header.Del("Allow") })
}

func pathsByPrefix(a *assembly) {
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, api.MultusCNIAPIEndpoint) {
			r.URL.Path = api.MultusCNIAPIEndpoint
		}
		next.ServeHTTP(w, r)
	})
}

// onBody rewrites the bodies of /cni and /delegate.
func (a *assembly) onBody(f func(body []byte) []byte) {
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost && (r.URL.Path == api.MultusCNIAPIEndpoint || r.URL.Path == api.MultusDelegateAPIEndpoint) {
			replaceBody(r, f(readBody(r)))
		}
		next.ServeHTTP(w, r)
	})
}

func trailingGarbageAccepted(a *assembly) {
	a.onBody(func(body []byte) []byte {
		var first json.RawMessage
		if json.NewDecoder(bytes.NewReader(body)).Decode(&first) == nil {
			return first
		}
		return body
	})
}

func idsMadeToFit(a *assembly) {
	a.onCommand(func(_ string, req *api.Request) {
		if id := req.Env["CNI_CONTAINERID"]; strings.Contains(id, "/") {
			req.Env["CNI_CONTAINERID"] = filepath.Base(id)
		}
	})
}

func idsInPaths(a *assembly) {
	a.onCommand(func(_ string, req *api.Request) {
		if id := req.Env["CNI_CONTAINERID"]; id != "" {
			_ = os.WriteFile(filepath.Join(a.config.CNIDir, id+".lock"), nil, 0o600)
		}
	})
}

// onArgs rewrites the pairs of CNI_ARGS.
func onArgs(f func(key, value string) (string, bool)) func(*assembly) {
	return func(a *assembly) {
		a.onCommand(func(_ string, req *api.Request) {
			var pairs []string
			for pair := range strings.SplitSeq(req.Env["CNI_ARGS"], ";") {
				key, value, _ := strings.Cut(pair, "=")
				if value, keep := f(key, value); keep {
					pairs = append(pairs, key+"="+value)
				}
			}
			if req.Env["CNI_ARGS"] != "" {
				req.Env["CNI_ARGS"] = strings.Join(pairs, ";")
			}
		})
	}
}

func argsCutAtEquals(a *assembly) {
	onArgs(func(_, value string) (string, bool) {
		value, _, _ = strings.Cut(value, "=")
		return value, true
	})(a)
}

func argsUnknownDropped(a *assembly) {
	onArgs(func(key, value string) (string, bool) {
		return value, key == "IgnoreUnknown" || strings.HasPrefix(key, "K8S_POD_")
	})(a)
}

func unknownFieldsRefused(a *assembly) {
	a.onBody(func(body []byte) []byte {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		var req api.Request
		if err := dec.Decode(&req); err != nil && strings.Contains(err.Error(), "unknown field") {
			return []byte("null")
		}
		return body
	})
}

func configBase64ForURLs(a *assembly) {
	a.onBody(func(body []byte) []byte {
		var req map[string]any
		if json.Unmarshal(body, &req) != nil {
			return body
		}
		if text, ok := req["config"].(string); ok {
			data, err := base64.URLEncoding.DecodeString(text)
			if err != nil {
				return []byte("not base64")
			}
			req["config"] = data
		}
		changed, err := json.Marshal(req)
		if err != nil {
			return body
		}
		return changed
	})
}

// onPanic has f called when an ADD panics, which then goes on.
func onPanic(f func()) func(*assembly) {
	return func(a *assembly) {
		a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
			h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
				defer func() {
					if p := recover(); p != nil {
						f()
						panic(p)
					}
				}()
				return next.Add(ctx, r)
			}
		})
	}
}

func panicEndsDaemon(a *assembly) { onPanic(func() { os.Exit(2) })(a) }

func panicHangsUp(a *assembly) {
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if req := decode(r); req != nil && req.Env["CNI_COMMAND"] == "ADD" && strings.Contains(req.Env["CNI_ARGS"], "K8S_POD_NAME=panic-") {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// panicKeepsLock has a lock per container that only a regular end gives back.
func panicKeepsLock(a *assembly) {
	var locks keyedLocks
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			unlock := locks.lock(r.ContainerID)
			result, err := next.Add(ctx, r)
			unlock()
			return result, err
		}
		h.del = func(ctx context.Context, r *attach.Request) error {
			defer locks.lock(r.ContainerID)()
			return next.Del(ctx, r)
		}
	})
}

// keyedLocks are mutexes by name.
type keyedLocks struct{ m sync.Map }

func (k *keyedLocks) lock(name string) (unlock func()) {
	v, _ := k.m.LoadOrStore(name, &sync.Mutex{})
	mu := v.(*sync.Mutex)
	mu.Lock()
	return mu.Unlock
}
