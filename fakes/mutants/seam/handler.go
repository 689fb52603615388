// SPDX-License-Identifier: Apache-2.0

package seam

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

// OnError changes the answer to whatever failed.
func OnError(f func(ans *Answered, cniError map[string]any)) func(*Assembly) {
	return func(a *Assembly) {
		a.OnFailure(func(_ *http.Request, _ *api.Request, ans *Answered, e map[string]any) { f(ans, e) })
	}
}

// OnRequest has f called for every request, to answer it itself or to pass it
// on to next.
func (a *Assembly) OnRequest(f func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	a.wrapHandler(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, next) })
	})
}

// OnCommand has f called for every request of a command that can be decoded,
// to change it.
func (a *Assembly) OnCommand(f func(path string, req *api.Request)) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if req := Decode(r); req != nil {
			f(r.URL.Path, req)
			setBody(r, req)
		}
		next.ServeHTTP(w, r)
	})
}

// Decode reads a request's body and puts it back; nil when it is not a command.
func Decode(r *http.Request) *api.Request {
	if r.URL.Path != api.MultusCNIAPIEndpoint && r.URL.Path != api.MultusDelegateAPIEndpoint || r.Method != http.MethodPost {
		return nil
	}
	data := ReadBody(r)
	ReplaceBody(r, data)
	var req *api.Request
	if json.Unmarshal(data, &req) != nil || req == nil || req.Env == nil {
		return nil
	}
	return req
}

// ReadBody reads what comes of a body; who broke off has sent no request.
func ReadBody(r *http.Request) []byte {
	data, _ := io.ReadAll(r.Body)
	return data
}

// ReplaceBody gives a request another body.
func ReplaceBody(r *http.Request, data []byte) {
	r.Body = io.NopCloser(bytes.NewReader(data))
	r.ContentLength = int64(len(data))
}

// AnswerError answers a CNI error.
func AnswerError(w http.ResponseWriter, status int, code uint, msg string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(types.NewError(code, msg, ""))
}

func setBody(r *http.Request, req *api.Request) {
	data, err := json.Marshal(req)
	if err != nil {
		return
	}
	ReplaceBody(r, data)
}

// Answered is an answer before it is sent.
type Answered struct {
	Status int
	Header http.Header
	Body   []byte
}

// OnAnswer has f called with every answer, to change it. req is nil when the
// request was no command. A result is always a Response: shims are not heard that
// would rather have it as it is to be printed.
func (a *Assembly) OnAnswer(f func(r *http.Request, req *api.Request, ans *Answered)) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		req := Decode(r)
		r.Header.Del("Accept")
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		ans := &Answered{rec.Code, rec.Header(), rec.Body.Bytes()}
		f(r, req, ans)
		for k, v := range ans.Header {
			w.Header()[k] = v
		}
		if r.Method != http.MethodHead {
			w.Header().Set("Content-Length", strconv.Itoa(len(ans.Body)))
		}
		w.WriteHeader(ans.Status)
		_, _ = w.Write(ans.Body)
	})
}

// OnFailure has f called with every CNI error that is answered, to change it.
func (a *Assembly) OnFailure(f func(r *http.Request, req *api.Request, ans *Answered, cniError map[string]any)) {
	a.OnAnswer(func(r *http.Request, req *api.Request, ans *Answered) {
		var cniError map[string]any
		if ans.Status == http.StatusOK || json.Unmarshal(ans.Body, &cniError) != nil {
			return
		}
		before := string(ans.Body)
		f(r, req, ans, cniError)
		if before == string(ans.Body) {
			ans.Body, _ = json.Marshal(cniError)
		}
	})
}
