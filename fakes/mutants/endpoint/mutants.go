// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile endpoint: what is asked.
var mutants = []mutant.Mutant{
	{Name: "delegate-endpoint-missing", Cases: []string{"EP-01"}, Daemon: delegateEndpointMissing,
		Fault: "/delegate is not there"},
	{Name: "delegate-endpoint-idle", Cases: []string{"EP-01"}, Daemon: func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, _ daemon.Engine, _ attach.Options) {
			h.OnHotAdd = func(context.Context, *attach.Request, *network.Selection) (*types100.Result, error) {
				return &types100.Result{CNIVersion: types100.ImplementedSpecVersion}, nil
			}
		})
	}, Fault: "/delegate answers an ADD with success and attaches nothing"},
	{Name: "any-method", Cases: []string{"EP-02"}, Daemon: anyMethod,
		Fault: "/cni takes any method"},
	{Name: "method-refused-without-allow", Cases: []string{"EP-02"}, Daemon: refusedWithoutAllow,
		Fault: "a method is refused without saying which would be taken"},
	{Name: "paths-by-prefix", Cases: []string{"EP-02"}, Daemon: pathsByPrefix,
		Fault: "every path that begins with /cni is /cni"},
	{Name: "trailing-garbage-accepted", Cases: []string{"EP-06"}, Daemon: trailingGarbageAccepted,
		Fault: "what follows the first JSON value of a body is ignored"},
	{Name: "ids-made-to-fit", Cases: []string{"EP-08"}, Daemon: idsMadeToFit,
		Fault: "a container id with a path is cut to its last part and served"},
	{Name: "ids-in-paths", Cases: []string{"EP-08"}, Daemon: idsInPaths,
		Fault: "a lock file is named after the container id before the id is validated"},
	{Name: "body-unlimited", Cases: []string{"EP-09"}, Daemon: func(a *seam.Assembly) { a.Config.RequestLimit = 1 << 40 },
		Fault: "a body of any size is read"},
	{Name: "body-limit-off-by-one", Cases: []string{"EP-09"}, Daemon: func(a *seam.Assembly) { a.Config.RequestLimit++ },
		Fault: "a body of one byte over the limit is read"},
	{Name: "body-read-before-limit", Cases: []string{"EP-09"}, Daemon: func(a *seam.Assembly) { a.OnBody(func(body []byte) []byte { return body }) },
		Fault: "a body is read into memory as a whole before its size is looked at"},
	{Name: "args-cut-at-equals", Cases: []string{"EP-11"}, Daemon: argsCutAtEquals,
		Fault: "a value of CNI_ARGS ends at its first '='"},
	{Name: "args-unknown-dropped", Cases: []string{"EP-11"}, Daemon: argsUnknownDropped,
		Fault: "unknown keys of CNI_ARGS are dropped, IgnoreUnknown or not"},
	{Name: "unknown-fields-refused", Cases: []string{"EP-12"}, Daemon: unknownFieldsRefused,
		Fault: "a request with an unknown JSON field is refused"},
	{Name: "config-base64-for-urls", Cases: []string{"EP-12"}, Daemon: configBase64ForURLs,
		Fault: "config is read as base64 for URLs"},
	{Name: "panic-ends-daemon", Cases: []string{"EP-13"}, Daemon: panicEndsDaemon,
		Fault: "a panic ends the daemon"},
	{Name: "panic-hangs-up", Cases: []string{"EP-13"}, Daemon: panicHangsUp,
		Fault: "a request that panics gets no answer"},
	{Name: "panic-keeps-lock", Cases: []string{"EP-13"}, Daemon: panicKeepsLock,
		Fault: "a panic leaves the container's lock held"},
}

func delegateEndpointMissing(a *seam.Assembly) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == api.MultusDelegateAPIEndpoint {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func anyMethod(a *seam.Assembly) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == api.MultusCNIAPIEndpoint {
			r.Method = http.MethodPost
		}
		next.ServeHTTP(w, r)
	})
}

func refusedWithoutAllow(a *seam.Assembly) {
	a.OnAnswer(func(_ *http.Request, _ *api.Request, ans *seam.Answered) { ans.Header.Del("Allow") })
}

func pathsByPrefix(a *seam.Assembly) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasPrefix(r.URL.Path, api.MultusCNIAPIEndpoint) {
			r.URL.Path = api.MultusCNIAPIEndpoint
		}
		next.ServeHTTP(w, r)
	})
}

func trailingGarbageAccepted(a *seam.Assembly) {
	a.OnBody(func(body []byte) []byte {
		var first json.RawMessage
		if json.NewDecoder(bytes.NewReader(body)).Decode(&first) == nil {
			return first
		}
		return body
	})
}

func idsMadeToFit(a *seam.Assembly) {
	a.OnCommand(func(_ string, req *api.Request) {
		if id := req.Env["CNI_CONTAINERID"]; strings.Contains(id, "/") {
			req.Env["CNI_CONTAINERID"] = filepath.Base(id)
		}
	})
}

func idsInPaths(a *seam.Assembly) {
	a.OnCommand(func(_ string, req *api.Request) {
		if id := req.Env["CNI_CONTAINERID"]; id != "" {
			_ = os.WriteFile(filepath.Join(a.Config.CNIDir, id+".lock"), nil, 0o600)
		}
	})
}

// onArgs rewrites the pairs of CNI_ARGS.
func onArgs(f func(key, value string) (string, bool)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnCommand(func(_ string, req *api.Request) {
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

func argsCutAtEquals(a *seam.Assembly) {
	onArgs(func(_, value string) (string, bool) {
		value, _, _ = strings.Cut(value, "=")
		return value, true
	})(a)
}

func argsUnknownDropped(a *seam.Assembly) {
	onArgs(func(key, value string) (string, bool) {
		return value, key == "IgnoreUnknown" || strings.HasPrefix(key, "K8S_POD_")
	})(a)
}

func unknownFieldsRefused(a *seam.Assembly) {
	a.OnBody(func(body []byte) []byte {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		var req api.Request
		if err := dec.Decode(&req); err != nil && strings.Contains(err.Error(), "unknown field") {
			return []byte("null")
		}
		return body
	})
}

func configBase64ForURLs(a *seam.Assembly) {
	a.OnBody(func(body []byte) []byte {
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
func onPanic(f func()) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
			h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
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

func panicEndsDaemon(a *seam.Assembly) { onPanic(func() { os.Exit(2) })(a) }

func panicHangsUp(a *seam.Assembly) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if req := seam.Decode(r); req != nil && req.Env["CNI_COMMAND"] == "ADD" && strings.Contains(req.Env["CNI_ARGS"], "K8S_POD_NAME=panic-") {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// panicKeepsLock has a lock per container that only a regular end gives back.
func panicKeepsLock(a *seam.Assembly) {
	var locks seam.KeyedLocks
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			unlock := locks.Lock(r.ContainerID)
			result, err := next.Add(ctx, r)
			unlock()
			return result, err
		}
		h.OnDel = func(ctx context.Context, r *attach.Request) error {
			defer locks.Lock(r.ContainerID)()
			return next.Del(ctx, r)
		}
	})
}
