// SPDX-License-Identifier: Apache-2.0

package network

import (
	"maps"
	"net"
)

// Selection is one element of a network selection annotation (NPWG standard,
// section 4.1.2.1).
type Selection struct {
	// Name and Namespace name the network definition.
	Name, Namespace string
	// InterfaceRequest is the interface's name in the sandbox, "" for the next
	// netN.
	InterfaceRequest string
	// IPRequest holds addresses, with or without a prefix length.
	IPRequest []string
	// MacRequest is a hardware address, "" for any.
	MacRequest string
	// InfinibandGUIDRequest is a GUID in the notation of hardware addresses.
	InfinibandGUIDRequest string
	BandwidthRequest      *Bandwidth
	PortMappingsRequest   []PortMapping
	// DeviceID goes to the delegate as the capability argument deviceID.
	DeviceID string
	// CNIArgs are merged into args.cni of every plugin's configuration.
	CNIArgs map[string]any
	// GatewayRequest is default-route: this network gets the pod's default route
	// by these gateways, at most one per family; with an empty list by whatever
	// its delegate answers (NPWG standard, section 4.1.2.1.9). Nil asks for
	// nothing. No delegate is told of it: moving the default route is not a
	// delegate's work.
	GatewayRequest []net.IP
	// fault is what is wrong with the selection as it was written, nil for
	// nothing.
	fault error
}

// Bandwidth is the capability argument bandwidth: rates in bit/s, bursts in bit
// (CNI conventions).
type Bandwidth struct {
	IngressRate  uint64 `json:"ingressRate,omitempty"`
	IngressBurst uint64 `json:"ingressBurst,omitempty"`
	EgressRate   uint64 `json:"egressRate,omitempty"`
	EgressBurst  uint64 `json:"egressBurst,omitempty"`
}

// PortMapping is one element of the capability argument portMappings (CNI
// conventions).
type PortMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol,omitempty"`
	HostIP        string `json:"hostIP,omitempty"`
}

func (s *Selection) definition() string {
	if s.Namespace == "" {
		return s.Name
	}
	return s.Namespace + "/" + s.Name
}

// capabilityArgs is the runtime's runtimeConfig with what the selection asks
// for in place of the runtime's own.
func (s *Selection) capabilityArgs(runtimeConfig map[string]any) map[string]any {
	args := maps.Clone(runtimeConfig)
	if args == nil {
		args = map[string]any{}
	}
	set := func(capability string, asked bool, value any) {
		if asked {
			args[capability] = value
		}
	}
	set("ips", len(s.IPRequest) > 0, s.IPRequest)
	set("mac", s.MacRequest != "", s.MacRequest)
	set("infinibandGUID", s.InfinibandGUIDRequest != "", s.InfinibandGUIDRequest)
	set("bandwidth", s.BandwidthRequest != nil, s.BandwidthRequest)
	set("portMappings", len(s.PortMappingsRequest) > 0, s.PortMappingsRequest)
	set("deviceID", s.DeviceID != "", s.DeviceID)
	return args
}
