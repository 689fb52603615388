// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/brief"
)

// answer is an error that knows its HTTP status.
type answer struct {
	status int
	err    *types.Error
}

// Error is the CNI error's.
func (a *answer) Error() string { return a.err.Error() }

// Unwrap returns the CNI error.
func (a *answer) Unwrap() error { return a.err }

// errDraining answers an ADD after SIGTERM: another daemon will serve it.
var errDraining = &answer{http.StatusServiceUnavailable,
	types.NewError(types.ErrTryAgainLater, "the daemon is shutting down", "")}

// statusOf finds the HTTP status for an error: 4xx for what the client sent,
// 503 for what may succeed later, 500 for the rest (EP-14).
func statusOf(err error) (int, *types.Error) {
	var known *answer
	if errors.As(err, &known) {
		return known.status, known.err
	}
	var cni *types.Error
	if !errors.As(err, &cni) {
		cni = types.NewError(types.ErrInternal, err.Error(), "")
	}
	var invalid *attach.InvalidRequest
	switch {
	case errors.As(err, &invalid):
		return http.StatusBadRequest, cni
	case cni.Code == types.ErrTryAgainLater:
		return http.StatusServiceUnavailable, cni
	default:
		// A delegate may use the same codes for what its own request lacked:
		// that is not the client's error.
		return http.StatusInternalServerError, cni
	}
}

// writeError answers with a CNI error as JSON (EP-05).
func writeError(w http.ResponseWriter, err error) {
	status, cni := statusOf(err)
	writeJSON(w, status, shortened(cni))
}

const (
	// errorLimit is the largest answer of an error, in bytes.
	errorLimit = 64 << 10
	// escaped is how many bytes JSON makes of one at most.
	escaped = 6
)

// shortened returns a CNI error whose JSON is within the limit (SEC-12).
func shortened(e *types.Error) *types.Error {
	if escaped*(len(e.Msg)+len(e.Details)) < errorLimit {
		return e
	}
	const part = errorLimit - 1<<10 // the rest is for the keys
	short := types.NewError(e.Code, brief.Cut(e.Msg, part/4), brief.Cut(e.Details, part/2))
	if body, err := json.Marshal(short); err == nil && len(body) <= errorLimit {
		return short
	}
	return types.NewError(e.Code, brief.Cut(e.Msg, part/4/escaped), brief.Cut(e.Details, part/2/escaped))
}

// writeResult answers a success: the result of an ADD (EP-03), an empty
// object for everything else (EP-04). A shim that would rather have the result
// as it is to be printed, in the configuration's version, gets that.
func writeResult(w http.ResponseWriter, r *http.Request, version string, result *types100.Result) {
	if result == nil {
		writeJSON(w, http.StatusOK, struct{}{})
		return
	}
	if r.URL.Path == api.MultusCNIAPIEndpoint && accepts(r, api.PrintedResult) {
		if printed, err := result.GetAsVersion(version); err == nil {
			writeAs(w, http.StatusOK, api.PrintedResult, attach.Encodable(printed))
			return
		}
		// The shim cannot express it either, and says why.
	}
	writeJSON(w, http.StatusOK, &api.Response{Result: result})
}

// accepts reports whether a client names a media type among those that it
// understands (RFC 9110, section 12.5.1).
func accepts(r *http.Request, mediaType string) bool {
	for _, header := range r.Header.Values("Accept") {
		for accepted := range strings.SplitSeq(header, ",") {
			if strings.TrimSpace(accepted) == mediaType {
				return true
			}
		}
	}
	return false
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	writeAs(w, status, "application/json", v)
}

// writeAs answers in JSON of a media type.
func writeAs(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, mediaType = http.StatusInternalServerError, "application/json"
		body, _ = json.Marshal(types.NewError(types.ErrInternal, "the answer cannot be encoded: "+err.Error(), ""))
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// The client may be gone; there is nobody else to tell.
	_, _ = w.Write(body)
}
