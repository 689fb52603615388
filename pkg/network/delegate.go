// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"

	"github.com/containernetworking/cni/pkg/types"
)

// Delegate is one attachment to make: all that a CNI ADD of one network needs
// beside the sandbox itself.
type Delegate struct {
	// Network is the CNI network name, as in Config.
	Network string
	// Definition is the name in the network status: namespace/name of the
	// network definition, or Network when the configuration is a file's or a
	// caller's.
	Definition string
	// Interface becomes CNI_IFNAME.
	Interface string
	// Default is true for the pod's default network, whose result is the
	// sandbox's (ADD-02).
	Default bool
	// Auxiliary is true for the auxiliary chain, which makes no interface.
	Auxiliary bool
	// Config is a network configuration list (CNI spec, section 1). A single
	// plugin's configuration has been made a list of one; fields that are not
	// known here are kept as they were written (ADD-03).
	Config []byte
	// CapabilityArgs are the runtimeConfig values by capability. libcni passes
	// on those that a plugin declares (CNI spec, section 3, Deriving runtimeConfig).
	CapabilityArgs map[string]any
	// Resource is what the network definition names a device by that Kubernetes
	// gave the pod, when the pod has one for it: its id is the capability argument
	// deviceID and in Config (NET-14).
	Resource string
	// DefaultRoute are the gateways by which this attachment gets the sandbox's
	// default route. An empty list leaves the gateway to the delegate's result;
	// nil asks for nothing (NET-03).
	DefaultRoute []net.IP
	// Selected is the Digest of the pod's element that it comes from; empty for
	// what the pod does not select.
	Selected string
	// Undeclared are the capabilities by which something is asked of the network
	// and which none of its plugins declares.
	Undeclared []string
}

// NewDelegate makes a delegate of a configuration, a single plugin's or a
// list, for the interface ifName. sel may be nil; what it asks for goes into
// the configuration (cni-args) and the capability arguments, and its name
// stands in for the network's when the configuration gives none. What it asks
// for is not judged: that is Plan's and Plug's. Errors are *types.Error with
// code 7 (invalid network configuration).
func NewDelegate(config []byte, ifName string, sel *Selection) (*Delegate, error) {
	return newRequested(config, ifName, sel, Limits{})
}

func newRequested(config []byte, ifName string, sel *Selection, limits Limits) (*Delegate, error) {
	if sel == nil {
		sel = &Selection{}
	}
	what := "the network configuration"
	if sel.Name != "" {
		what = "network definition " + sel.definition()
	}
	return newDelegate(config, what, ifName, sel, nil, "", limits)
}

// newDelegate is NewDelegate with what for errors to name the configuration
// by, the runtime's own capability arguments, and the id of the device that
// Kubernetes gave the pod for it, "" for none.
func newDelegate(config []byte, what, ifName string, sel *Selection, runtimeConfig map[string]any, device string, limits Limits) (*Delegate, error) {
	if err := CheckInterfaceName(ifName); err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	if err := limits.config(len(config)); err != nil {
		return nil, prefixed(what, err)
	}
	if err := refuseShims(config); err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	list, err := parseList(config, sel.Name)
	if err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	if err := limits.plugins(len(list.plugins)); err != nil {
		return nil, prefixed(what, err)
	}
	if err := list.addArgs(sel.CNIArgs, limits); err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	if err := list.addDevice(device); err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	undeclared, err := list.undeclared(sel)
	if err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	d := &Delegate{Interface: ifName, Undeclared: undeclared, CapabilityArgs: sel.capabilityArgs(runtimeConfig), DefaultRoute: sel.GatewayRequest}
	if device != "" {
		// What the pod was given counts, not what it asks for.
		d.CapabilityArgs["deviceID"] = device
	}
	if d.Config, d.Network, err = list.encode(); err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	if err := limits.config(len(d.Config)); err != nil {
		return nil, prefixed(what, err)
	}
	d.Definition = d.Network
	if sel.Name != "" {
		d.Definition = sel.definition()
	}
	return d, nil
}

// invalid is a CNI error for what a user wrote.
func invalid(format string, args ...any) error {
	return types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf(format, args...), "")
}

// prefixed puts where an error happened in front of it and keeps its code.
func prefixed(where string, err error) error {
	var own *types.Error
	if errors.As(err, &own) {
		return types.NewError(own.Code, where+": "+own.Msg, own.Details)
	}
	return fmt.Errorf("%s: %w", where, err)
}
