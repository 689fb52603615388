// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"encoding/json"
	"net/http"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile endpoint: what is answered.
var answersMutants = []mutant.Mutant{
	{Name: "result-bare", Cases: []string{"EP-03"}, Daemon: onResult(func(result json.RawMessage) []byte { return result }),
		Fault: `the result is answered without {"Result": …} round it`},
	{Name: "result-of-old-version", Cases: []string{"EP-03"}, Daemon: onResult(resultOfOldVersion),
		Fault: "the result is answered in CNI 0.4.0"},
	{Name: "result-as-text", Cases: []string{"EP-03"}, Daemon: onResultHeader("text/plain; charset=utf-8"),
		Fault: "the result is sent as text/plain"},
	{Name: "success-says-ok", Cases: []string{"EP-04"}, Daemon: onSuccess("DEL", func(ans *seam.Answered) { ans.Body = []byte(`"OK"`) }),
		Fault: `a successful DEL is answered with "OK"`},
	{Name: "success-repeats-result", Cases: []string{"EP-04"}, Daemon: onSuccess("CHECK", func(ans *seam.Answered) { ans.Body = []byte(`{"Result":null}`) }),
		Fault: "a successful CHECK is answered with a Result"},
	{Name: "success-204", Cases: []string{"EP-04"}, Daemon: onSuccess("STATUS", func(ans *seam.Answered) { ans.Status, ans.Body = http.StatusNoContent, nil }),
		Fault: "a successful STATUS is answered with 204"},
	{Name: "errors-as-plain-text", Cases: []string{"EP-05"}, Daemon: errorsAsPlainText,
		Fault: "an error is answered as a line of text"},
	{Name: "errors-with-200", Cases: []string{"EP-05"}, Daemon: seam.OnError(func(ans *seam.Answered, _ map[string]any) { ans.Status = http.StatusOK }),
		Fault: "an error is answered with 200"},
	{Name: "errors-with-code-as-text", Cases: []string{"EP-05"}, Daemon: seam.OnError(func(_ *seam.Answered, e map[string]any) { e["code"] = "999" }),
		Fault: "the code of an error is a JSON string"},
	{Name: "errors-sent-as-text", Cases: []string{"EP-05"}, Daemon: seam.OnError(func(ans *seam.Answered, _ map[string]any) { ans.Header.Set("Content-Type", "text/plain") }),
		Fault: "a CNI error is sent as text/plain"},
	{Name: "no-json-code-999", Cases: []string{"EP-06"}, Daemon: recode(6, 999),
		Fault: "a body that is not JSON gets the code of an internal error"},
	{Name: "no-json-500", Cases: []string{"EP-06"}, Daemon: seam.OnError(func(ans *seam.Answered, e map[string]any) {
		if e["code"] == float64(6) {
			ans.Status = http.StatusInternalServerError
		}
	}), Fault: "a body that is not JSON gets 500"},
	{Name: "variable-unnamed", Cases: []string{"EP-07"}, Daemon: variableUnnamed,
		Fault: "the error of a missing variable does not name it"},
	{Name: "variable-code-7", Cases: []string{"EP-07"}, Daemon: recode(4, 7),
		Fault: "a missing variable gets the code of an invalid configuration"},
	{Name: "netns-optional", Cases: []string{"EP-07"}, Daemon: netnsOptional,
		Fault: "without CNI_NETNS an ADD takes the daemon's own namespace"},
	{Name: "too-large-400", Cases: []string{"EP-09"}, Daemon: seam.OnError(func(ans *seam.Answered, _ map[string]any) {
		if ans.Status == http.StatusRequestEntityTooLarge {
			ans.Status = http.StatusBadRequest
		}
	}), Fault: "a body over the limit gets 400"},
	{Name: "delegate-code-lost", Cases: []string{"EP-10"}, Daemon: onDelegateError(func(e map[string]any) { e["code"] = 999 }),
		Fault: "an error of a delegate gets the code of an internal error"},
	{Name: "delegate-details-lost", Cases: []string{"EP-10"}, Daemon: onDelegateError(func(e map[string]any) { delete(e, "details") }),
		Fault: "the details of a delegate's error are dropped"},
	{Name: "delegate-msg-wrapped", Cases: []string{"EP-10"}, Daemon: onDelegateError(func(e map[string]any) { e["msg"] = "delegate failed: " + e["msg"].(string) }),
		Fault: "the msg of a delegate's error gets a text in front"},
	{Name: "errors-all-500", Cases: []string{"EP-14"}, Daemon: seam.OnError(func(ans *seam.Answered, _ map[string]any) { ans.Status = http.StatusInternalServerError }),
		Fault: "every error gets 500"},
	{Name: "errors-all-400", Cases: []string{"EP-14"}, Daemon: seam.OnError(func(ans *seam.Answered, _ map[string]any) { ans.Status = http.StatusBadRequest }),
		Fault: "every error gets 400"},
	{Name: "plugged-config-500", Cases: []string{"EP-14"}, Daemon: func(a *seam.Assembly) {
		a.OnFailure(func(r *http.Request, req *api.Request, ans *seam.Answered, e map[string]any) {
			if r.URL.Path == api.MultusDelegateAPIEndpoint && req != nil && e["code"] == 7.0 {
				ans.Status = http.StatusInternalServerError
			}
		})
	}, Fault: "a network that cannot be plugged, by its configuration or what is asked of it, gets 500"},
	{Name: "overload-500", Cases: []string{"EP-14"}, Daemon: seam.OnError(func(ans *seam.Answered, _ map[string]any) {
		if ans.Status == http.StatusServiceUnavailable {
			ans.Status = http.StatusInternalServerError
		}
	}), Fault: "what may succeed later gets 500"},
}

// onResult rewrites the body of a successful ADD.
func onResult(f func(result json.RawMessage) []byte) func(*seam.Assembly) {
	return onSuccess("ADD", func(ans *seam.Answered) {
		var body struct{ Result json.RawMessage }
		if json.Unmarshal(ans.Body, &body) == nil {
			ans.Body = f(body.Result)
		}
	})
}

func resultOfOldVersion(raw json.RawMessage) []byte {
	var result types100.Result
	if json.Unmarshal(raw, &result) != nil {
		return raw
	}
	old, err := result.GetAsVersion("0.4.0")
	if err != nil {
		return raw
	}
	data, err := json.Marshal(map[string]any{"Result": old})
	if err != nil {
		return raw
	}
	return data
}

func onResultHeader(kind string) func(*seam.Assembly) {
	return onSuccess("ADD", func(ans *seam.Answered) { ans.Header.Set("Content-Type", kind) })
}

// onSuccess changes the answer to a command that succeeded.
func onSuccess(command string, f func(*seam.Answered)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnAnswer(func(_ *http.Request, req *api.Request, ans *seam.Answered) {
			if req != nil && req.Env["CNI_COMMAND"] == command && ans.Status == http.StatusOK {
				f(ans)
			}
		})
	}
}

func recode(from, to uint) func(*seam.Assembly) {
	return seam.OnError(func(_ *seam.Answered, e map[string]any) {
		if e["code"] == float64(from) {
			e["code"] = to
		}
	})
}

// onDelegateError changes an error that is not the daemon's own.
func onDelegateError(f func(e map[string]any)) func(*seam.Assembly) {
	return seam.OnError(func(ans *seam.Answered, e map[string]any) {
		if ans.Status >= http.StatusInternalServerError {
			f(e)
		}
	})
}

func errorsAsPlainText(a *seam.Assembly) {
	a.OnFailure(func(_ *http.Request, _ *api.Request, ans *seam.Answered, e map[string]any) {
		text, _ := e["msg"].(string)
		ans.Header.Set("Content-Type", "text/plain; charset=utf-8")
		ans.Body = []byte(text + "\n")
	})
}

func variableUnnamed(a *seam.Assembly) {
	seam.OnError(func(_ *seam.Answered, e map[string]any) {
		if msg, _ := e["msg"].(string); strings.HasPrefix(msg, "CNI_") {
			e["msg"] = "a required variable is missing or invalid"
		}
	})(a)
}

func netnsOptional(a *seam.Assembly) {
	a.OnCommand(func(_ string, req *api.Request) {
		if req.Env["CNI_COMMAND"] == "ADD" && req.Env["CNI_NETNS"] == "" {
			req.Env["CNI_NETNS"] = "/proc/self/ns/net"
		}
	})
}
