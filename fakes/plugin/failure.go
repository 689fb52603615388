// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The error codes of CNI §5, and one of the plugin's own.
const (
	codeVersion     = 1
	codeNoContainer = 3
	codeEnvironment = 4
	codeIO          = 5
	codeDecoding    = 6
	codeConfig      = 7
	codeTryAgain    = 11
	codeUnavailable = 50
	codeFailed      = 100
)

// failure is an error as a plugin prints it.
type failure struct {
	CNIVersion string `json:"cniVersion"`
	Code       uint   `json:"code"`
	Msg        string `json:"msg"`
	Details    string `json:"details,omitempty"`
}

// Error implements error.
func (f *failure) Error() string {
	if f.Details == "" {
		return f.Msg
	}
	return f.Msg + ": " + f.Details
}

// fail makes a failure with a code.
func fail(code uint, format string, a ...any) *failure {
	return &failure{Code: code, Msg: fmt.Sprintf(format, a...)}
}

// failureOf is how err is printed: a failure within it as it is, another with
// the plugin's own code.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return &failure{Code: f.Code, Msg: f.Msg, Details: f.Details}
	}
	return fail(codeFailed, "%s", err.Error())
}

// printFailure prints an error in the version in use.
func (c *call) printFailure(out io.Writer, err error) {
	f := failureOf(err)
	if f.CNIVersion = c.conf.CNIVersion; !listed(f.CNIVersion) {
		f.CNIVersion = newest
	}
	if c.has(errorCodeZero) {
		f.Code = 0
	}
	if c.has(plainTextError) {
		fmt.Fprintln(out, "error:", f.Msg)
		return
	}
	_ = json.NewEncoder(out).Encode(f)
}
