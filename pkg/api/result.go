// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	cni100 "github.com/containernetworking/cni/pkg/types/100"
)

// printResult prints the result in an ADD's answer in the version that the configuration asks for (SHIM-02). The
// result is converted before the first byte is written, so that standard output gets one JSON document: the result or,
// from the caller, the error (SHIM-03).
func printResult(answer []byte, version string) error {
	result, err := decodeResult(answer)
	if err != nil {
		return types.NewError(types.ErrDecodingFailure, "the daemon's answer to ADD has no usable result", err.Error())
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
