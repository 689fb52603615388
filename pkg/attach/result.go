// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// A result is another program's word. It is judged where it comes in, from a
// plugin or from a file, so that nothing behind that has to expect a list with
// null in it, which the CNI library itself panics at (SEC-08).

// answers is an Exec whose plugins answer results: one that has null where an
// interface, address or route should be is an error, before the CNI library
// converts it.
type answers struct{ invoke.Exec }

// ExecPlugin implements invoke.Exec.
func (a answers) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	stdout, err := a.Exec.ExecPlugin(ctx, path, stdin, environ)
	if err != nil {
		return nil, err
	}
	if err := withoutNulls(stdout); err != nil {
		return nil, fmt.Errorf("its result cannot be used: %w", err)
	}
	return stdout, nil
}

// withoutNulls refuses a result, of any version, that has null elements.
func withoutNulls(raw []byte) error {
	if !bytes.Contains(raw, []byte("null")) {
		return nil
	}
	type routed struct {
		Routes []json.RawMessage `json:"routes"`
	}
	var shape struct {
		Interfaces []json.RawMessage `json:"interfaces"`
		IPs        []json.RawMessage `json:"ips"`
		// IP4 and IP6 are those of versions before 0.3.0.
		IP4 routed `json:"ip4"`
		IP6 routed `json:"ip6"`
		routed
	}
	if err := json.Unmarshal(raw, &shape); err != nil {
		return nil //nolint:nilerr // whoever decodes it says so, and better
	}
	for _, list := range []struct {
		key      string
		elements []json.RawMessage
	}{
		{"interfaces", shape.Interfaces}, {"ips", shape.IPs}, {"routes", shape.Routes},
		{"ip4.routes", shape.IP4.Routes}, {"ip6.routes", shape.IP6.Routes},
	} {
		for i, element := range list.elements {
			if string(element) == "null" {
				return fmt.Errorf("element %d of %s is null", i, list.key)
			}
		}
	}
	return nil
}

// current returns a plugin's result in the newest version. It refuses an
// address without a value, one of an interface that the result does not list, and
// a route without a destination: they could be encoded, and not be read again.
func current(answer types.Result) (*types100.Result, error) {
	result, err := types100.NewResultFromResult(answer)
	if err != nil {
		return nil, err
	}
	for i, ip := range result.IPs {
		switch {
		case ip.Address.IP == nil:
			return nil, fmt.Errorf("its result cannot be used: element %d of ips has no address", i)
		case ip.Interface != nil && (*ip.Interface < 0 || *ip.Interface >= len(result.Interfaces)):
			return nil, fmt.Errorf("its result cannot be used: address %s is of interface %d, and there are %d", ip.Address.String(), *ip.Interface, len(result.Interfaces))
		}
	}
	for i, route := range result.Routes {
		if route.Dst.IP == nil {
			return nil, fmt.Errorf("its result cannot be used: element %d of routes has no dst", i)
		}
	}
	return result, nil
}

// Encodable is a result in a form that is encoded as the result itself, in a third
// of the time: its MarshalJSON encodes it twice to leave out a dns that is empty.
// Of other versions than 1.x it is the result.
func Encodable(result types.Result) any {
	r, known := result.(*types100.Result)
	if !known {
		return result
	}
	var dns *types.DNS
	if !r.DNS.IsEmpty() {
		dns = &r.DNS
	}
	return &struct {
		CNIVersion string                `json:"cniVersion,omitempty"`
		DNS        *types.DNS            `json:"dns,omitempty"`
		Interfaces []*types100.Interface `json:"interfaces,omitempty"`
		IPs        []*types100.IPConfig  `json:"ips,omitempty"`
		Routes     []*types.Route        `json:"routes,omitempty"`
	}{r.CNIVersion, dns, r.Interfaces, r.IPs, r.Routes}
}

// resultOf is what an attachment's delegates have answered.
func resultOf(a *ledger.Attachment) (*types100.Result, error) {
	if a.Parsed != nil {
		return a.Parsed, nil
	}
	return recordedResult(a.Result)
}

// errNoResult says that nothing was recorded of an attachment's ADD.
var errNoResult = errors.New("there is none")

// recordedResult decodes the result in an attachment's record. A former daemon
// may have recorded one that this one would have refused.
func recordedResult(raw json.RawMessage) (*types100.Result, error) {
	if len(raw) == 0 {
		return nil, errNoResult
	}
	if err := withoutNulls(raw); err != nil {
		return nil, err
	}
	result := &types100.Result{}
	if err := json.Unmarshal(raw, result); err != nil {
		return nil, err
	}
	return result, nil
}
