// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
)

// onRequest has f called for every request, to answer it itself or to pass it
// on to next.
func (a *assembly) onRequest(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	a.wrapHandler(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, next) })
	})
}

// onCommand has f called for every request of a command that can be decoded,
// to change it.
func (a *assembly) onCommand(f func(path string, req *api.Request)) {
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if req := decode(r); req != nil {
			f(r.URL.Path, req)
			setBody(r, req)
		}
		next.ServeHTTP(w, r)
	})
}

// decode reads a request's body and puts it back; nil when it is no command.
func decode(r *http.Request) *api.Request {
	if r.URL.Path != api.MultusCNIAPIEndpoint && r.URL.Path != api.MultusDelegateAPIEndpoint || r.Method != http.MethodPost {
		return nil
	}
	data := readBody(r)
	replaceBody(r, data)
	var req *api.Request
	if json.Unmarshal(data, &req) != nil || req == nil || req.Env == nil {
		return nil
	}
	return req
}

// readBody reads what comes of a body; who broke off has sent no request.
func readBody(r *http.Request) []byte {
	data, _ := io.ReadAll(r.Body)
	return data
}

func replaceBody(r *http.Request, data []byte) {
	r.Body = io.NopCloser(bytes.NewReader(data))
	r.ContentLength = int64(len(data))
}

// answerError answers a CNI error.
func answerError(w http.ResponseWriter, status int, code uint, msg string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(types.NewError(code, msg, ""))
}

func setBody(r *http.Request, req *api.Request) {
	data, err := json.Marshal(req)
	if err != nil {
		return
	}
	replaceBody(r, data)
}

// answered is an answer before it is sent.
type answered struct {
	status int
	header http.Header
	body   []byte
}

// onAnswer has f called with every answer, to change it. req is nil when the
// request was no command.
func (a *assembly) onAnswer(f func(r *http.Request, req *api.Request, ans *answered)) {
	a.onRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		req := decode(r)
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		ans := &answered{rec.Code, rec.Header(), rec.Body.Bytes()}
		f(r, req, ans)
		for k, v := range ans.header {
			w.Header()[k] = v
		}
		if r.Method != http.MethodHead {
			w.Header().Set("Content-Length", strconv.Itoa(len(ans.body)))
		}
		w.WriteHeader(ans.status)
		_, _ = w.Write(ans.body)
	})
}

// onFailure has f called with every CNI error that is answered, to change it.
func (a *assembly) onFailure(f func(r *http.Request, req *api.Request, ans *answered, cniError map[string]any)) {
	a.onAnswer(func(r *http.Request, req *api.Request, ans *answered) {
		var cniError map[string]any
		if ans.status == http.StatusOK || json.Unmarshal(ans.body, &cniError) != nil {
			return
		}
		before := string(ans.body)
		f(r, req, ans, cniError)
		if before == string(ans.body) {
			ans.body, _ = json.Marshal(cniError)
		}
	})
}
