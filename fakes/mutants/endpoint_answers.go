// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile endpoint: what is answered.
func init() {
	register(
		mutant{name: "result-bare", cases: []string{"EP-03"}, daemon: onResult(func(result json.RawMessage) []byte { return result }),
			fault: `the result is answered without {"Result": …} round it`},
		mutant{name: "result-of-old-version", cases: []string{"EP-03"}, daemon: onResult(resultOfOldVersion),
			fault: "the result is answered in CNI 0.4.0"},
		mutant{name: "result-as-text", cases: []string{"EP-03"}, daemon: onResultHeader("text/plain; charset=utf-8"),
			fault: "the result is sent as text/plain"},
		mutant{name: "success-says-ok", cases: []string{"EP-04"}, daemon: onSuccess("DEL", func(ans *answered) { ans.body = []byte(`"OK"`) }),
			fault: `a successful DEL is answered with "OK"`},
		mutant{name: "success-repeats-result", cases: []string{"EP-04"}, daemon: onSuccess("CHECK", func(ans *answered) { ans.body = []byte(`{"Result":null}`) }),
			fault: "a successful CHECK is answered with a Result"},
		mutant{name: "success-204", cases: []string{"EP-04"}, daemon: onSuccess("STATUS", func(ans *answered) { ans.status, ans.body = http.StatusNoContent, nil }),
			fault: "a successful STATUS is answered with 204"},
		mutant{name: "errors-as-plain-text", cases: []string{"EP-05"}, daemon: errorsAsPlainText,
			fault: "an error is answered as a line of text"},
		mutant{name: "errors-with-200", cases: []string{"EP-05"}, daemon: onError(func(ans *answered, _ map[string]any) { ans.status = http.StatusOK }),
			fault: "an error is answered with 200"},
		mutant{name: "errors-with-code-as-text", cases: []string{"EP-05"}, daemon: onError(func(_ *answered, e map[string]any) { e["code"] = "999" }),
			fault: "the code of an error is a JSON string"},
		mutant{name: "errors-sent-as-text", cases: []string{"EP-05"}, daemon: onError(func(ans *answered, _ map[string]any) { ans.header.Set("Content-Type", "text/plain") }),
			fault: "a CNI error is sent as text/plain"},
		mutant{name: "no-json-code-999", cases: []string{"EP-06"}, daemon: recode(6, 999),
			fault: "a body that is not JSON gets the code of an internal error"},
		mutant{name: "no-json-500", cases: []string{"EP-06"}, daemon: onError(func(ans *answered, e map[string]any) {
			if e["code"] == float64(6) {
				ans.status = http.StatusInternalServerError
			}
		}), fault: "a body that is not JSON gets 500"},
		mutant{name: "variable-unnamed", cases: []string{"EP-07"}, daemon: variableUnnamed,
			fault: "the error of a missing variable does not name it"},
		mutant{name: "variable-code-7", cases: []string{"EP-07"}, daemon: recode(4, 7),
			fault: "a missing variable gets the code of an invalid configuration"},
		mutant{name: "netns-optional", cases: []string{"EP-07"}, daemon: netnsOptional,
			fault: "without CNI_NETNS an ADD takes the daemon's own namespace"},
		mutant{name: "too-large-400", cases: []string{"EP-09"}, daemon: onError(func(ans *answered, _ map[string]any) {
			if ans.status == http.StatusRequestEntityTooLarge {
				ans.status = http.StatusBadRequest
			}
		}), fault: "a body over the limit gets 400"},
		mutant{name: "delegate-code-lost", cases: []string{"EP-10"}, daemon: onDelegateError(func(e map[string]any) { e["code"] = 999 }),
			fault: "an error of a delegate gets the code of an internal error"},
		mutant{name: "delegate-details-lost", cases: []string{"EP-10"}, daemon: onDelegateError(func(e map[string]any) { delete(e, "details") }),
			fault: "the details of a delegate's error are dropped"},
		mutant{name: "delegate-msg-wrapped", cases: []string{"EP-10"}, daemon: onDelegateError(func(e map[string]any) { e["msg"] = "delegate failed: " + e["msg"].(string) }),
			fault: "the msg of a delegate's error gets a text in front"},
		mutant{name: "errors-all-500", cases: []string{"EP-14"}, daemon: onError(func(ans *answered, _ map[string]any) { ans.status = http.StatusInternalServerError }),
			fault: "every error gets 500"},
		mutant{name: "errors-all-400", cases: []string{"EP-14"}, daemon: onError(func(ans *answered, _ map[string]any) { ans.status = http.StatusBadRequest }),
			fault: "every error gets 400"},
		mutant{name: "overload-500", cases: []string{"EP-14"}, daemon: onError(func(ans *answered, _ map[string]any) {
			if ans.status == http.StatusServiceUnavailable {
				ans.status = http.StatusInternalServerError
			}
		}), fault: "what may succeed later gets 500"},
	)
}

// onResult rewrites the body of a successful ADD.
func onResult(f func(result json.RawMessage) []byte) func(*assembly) {
	return onSuccess("ADD", func(ans *answered) {
		var body struct{ Result json.RawMessage }
		if json.Unmarshal(ans.body, &body) == nil {
			ans.body = f(body.Result)
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

func onResultHeader(kind string) func(*assembly) {
	return onSuccess("ADD", func(ans *answered) { ans.header.Set("Content-Type", kind) })
}

// onSuccess changes the answer to a command that succeeded.
func onSuccess(command string, f func(*answered)) func(*assembly) {
	return func(a *assembly) {
		a.onAnswer(func(_ *http.Request, req *api.Request, ans *answered) {
			if req != nil && req.Env["CNI_COMMAND"] == command && ans.status == http.StatusOK {
				f(ans)
			}
		})
	}
}

// onError changes the answer to whatever failed.
func onError(f func(ans *answered, cniError map[string]any)) func(*assembly) {
	return func(a *assembly) {
		a.onFailure(func(_ *http.Request, _ *api.Request, ans *answered, e map[string]any) { f(ans, e) })
	}
}

func recode(from, to uint) func(*assembly) {
	return onError(func(_ *answered, e map[string]any) {
		if e["code"] == float64(from) {
			e["code"] = to
		}
	})
}

// onDelegateError changes an error that is not the daemon's own.
func onDelegateError(f func(e map[string]any)) func(*assembly) {
	return onError(func(ans *answered, e map[string]any) {
		if ans.status >= http.StatusInternalServerError {
			f(e)
		}
	})
}

func errorsAsPlainText(a *assembly) {
	a.onFailure(func(_ *http.Request, _ *api.Request, ans *answered, e map[string]any) {
		text, _ := e["msg"].(string)
		ans.header.Set("Content-Type", "text/plain; charset=utf-8")
		ans.body = []byte(text + "\n")
	})
}

func variableUnnamed(a *assembly) {
	onError(func(_ *answered, e map[string]any) {
		if msg, _ := e["msg"].(string); strings.HasPrefix(msg, "CNI_") {
			e["msg"] = "a required variable is missing or invalid"
		}
	})(a)
}

func netnsOptional(a *assembly) {
	a.onCommand(func(_ string, req *api.Request) {
		if req.Env["CNI_COMMAND"] == "ADD" && req.Env["CNI_NETNS"] == "" {
			req.Env["CNI_NETNS"] = "/proc/self/ns/net"
		}
	})
}
