// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	cni100 "github.com/containernetworking/cni/pkg/types/100"
)

const (
	jsonType = "application/json"
	// PrintedResult is the media type of an answer to ADD that is not a Response but the very document that the plugin
	// prints: the result in the configuration's cniVersion. A shim of Thicket says that it accepts it, and a daemon of
	// Thicket may then answer with it: the daemon, which has made the result, converts it in microseconds, a process that
	// has just begun in half a millisecond (SHIM-13). Every other pair of client and daemon exchanges Responses.
	PrintedResult = "application/vnd.thicket.printed-result+json"
)

// printResult prints the result in an ADD's answer in the version that the configuration asks for (SHIM-02). The
// result is converted before the first byte is written, so that standard output gets one JSON document: the result or,
// from the caller, the error (SHIM-03).
func (a *answer) printResult(version string) error {
	if a.mediaType == PrintedResult {
		return a.print()
	}
	result, err := decodeResult(a.body)
	if err != nil {
		return noResult(err)
	}
	converted, err := result.GetAsVersion(version)
	if err != nil {
		// Versions up to 0.2.0 cannot say "attached without an address".
		return types.NewError(types.ErrIncompatibleCNIVersion, fmt.Sprintf(
			"the result cannot be expressed in the configuration's cniVersion %q; use 0.3.0 or later", version), err.Error())
	}
	if err := converted.Print(); err != nil {
		return types.NewError(types.ErrIOFailure, "the result cannot be written to standard output", err.Error())
	}
	return nil
}

// print prints a PrintedResult.
func (a *answer) print() error {
	if !json.Valid(a.body) {
		return noResult(errors.New("it is not JSON"))
	}
	if _, err := os.Stdout.Write(a.body); err != nil {
		return types.NewError(types.ErrIOFailure, "the result cannot be written to standard output", err.Error())
	}
	return nil
}

func noResult(err error) error {
	return types.NewError(types.ErrDecodingFailure, "the daemon's answer to ADD has no usable result", err.Error())
}

// decodeResult accepts what the conversions of the CNI library can work on: they take the version at its word and
// panic where it is wrong or an element is null.
func decodeResult(answer []byte) (*cni100.Result, error) {
	r := Response{}
	if err := json.Unmarshal(answer, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Result == nil:
		return nil, fmt.Errorf("it has no field \"Result\"")
	case !slices.Contains([]string{"", "1.0.0", cni100.ImplementedSpecVersion}, r.Result.CNIVersion):
		return nil, fmt.Errorf("its cniVersion is %q, not 1.x", r.Result.CNIVersion)
	case slices.Contains(r.Result.Interfaces, nil), slices.Contains(r.Result.IPs, nil),
		slices.Contains(r.Result.Routes, nil):
		return nil, fmt.Errorf("it has a null among its interfaces, ips or routes")
	}
	return r.Result, nil
}
